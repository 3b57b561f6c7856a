"""What gunicorn and uvicorn serve in configs/stack.toml: who has answered."""

import os

HEADERS = [("Content-Type", "text/plain")]


def wsgi(_environ, start_response):
    """Answer as WSGI has it."""
    start_response("200 OK", HEADERS)
    return [_who().encode()]


async def asgi(_scope, _receive, send):
    """Answer as ASGI has it."""
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _who().encode()})


def _who():
    name, task, generation = (os.environ[f"PROCMAN_{key}"] for key in ("GROUP", "TASK_ID", "GENERATION"))
    return f"{name}:{task} generation {generation}, pid {os.getpid()}\n"
