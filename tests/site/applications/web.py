"""A FastAPI service under uvicorn, on the sockets that it is given."""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI

import procman

api = FastAPI()


@api.get("/")
def who() -> dict[str, int | None]:
    """Which worker answers."""
    return {"task": procman.task_id(), "pid": os.getpid()}


def serve() -> None:
    """Serve until SIGTERM, of which uvicorn dies in the end."""
    config = uvicorn.Config(api, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=procman.listen_sockets())
