"""A real pump without a core: the test holds the other end of its socket, and both ends of the workers' pipes."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from procman.kernel.spawn.spawn import HELPERS_ARE_DEAF_TO

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
_BOOT = "import sys; sys.path.append(sys.argv[1]); from procman.output.pump import main; sys.exit(main())"


def sink(kind: str, path: str | None = None, **more: Any) -> dict[str, Any]:
    """Where a stream goes, as the plan says it."""
    return {"kind": kind, "path": path, "format": "raw", "rotate": None, **more}


def output(to: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An OutputPlan as JSON has it, the same for both streams."""
    return {
        "stdout": to,
        "stderr": to,
        "tail": 5,
        "on_full": "drop",
        "buffer": 1 << 20,
        "max_line": 65536,
        "timestamps": False,
        "objects": "merge",
        **more,
    }


class Pumped:
    """What the core keeps of a run: its number, and both ends of its pipes by stream."""

    def __init__(self, number: int, message: dict[str, Any]) -> None:
        self.number, self.message = number, message
        self.pipes = {stream: os.pipe() for stream in message["streams"]}

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """What the worker does."""
        end = self.pipes[stream][1]
        while data:
            data = data[os.write(end, data) :]

    def close(self) -> None:
        """Let go of both ends."""
        for ends in self.pipes.values():
            for end in ends:
                with suppress(OSError):
                    os.close(end)
        self.pipes = {}


class Core:
    """The test's end. `stdout` is what the pump has as procman's."""

    def __init__(self, stdout: int | None = None, *, colour: bool = False) -> None:
        self.read = -1
        self._stdout: int = -1
        if stdout is None:
            self.read, self._stdout = os.pipe()
        else:
            self._stdout = stdout
        self.colour = colour
        self.workers: list[Pumped] = []
        self.state: int | None = None
        self.said: list[dict[str, Any]] = []
        self.start()

    def start(self, state: int | None = None) -> None:
        """Start a pump, with the state of a former one, and open all that is open."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(ROOT)]
        former = signal.pthread_sigmask(signal.SIG_BLOCK, HELPERS_ARE_DEAF_TO)
        try:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=self._stdout
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
            theirs.close()
        self.send({"do": "begin", "site": "shop", "colour": self.colour, "widest": 0}, [] if state is None else [state])
        if state is not None:
            os.close(state)

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        """Tell the pump something."""
        socket.send_fds(self._socket, [json.dumps(message).encode()], fds or [])

    def open(self, to: dict[str, Any], group: str = "web", task: int = 0, *streams: str, **more: Any) -> Pumped:
        """Have a worker, with its pipes."""
        number = len(self.workers) + 1
        message = {
            "do": "open",
            "id": number,
            "worker": [group, task, 1],
            "pid": 4000 + number,
            "streams": streams or ["stdout"],
            "output": to,
            **more,
        }
        worker = Pumped(number, message)
        self.workers.append(worker)
        self._open(worker)
        return worker

    def hear(self, say: str) -> tuple[dict[str, Any], list[int]]:
        """Wait until the pump says this."""
        deadline = monotonic() + DEADLINE_S
        while True:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"never said: {say}"
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, 8)
            assert data, f"it has ended instead of {say}"
            message: dict[str, Any] = json.loads(data)
            self.said.append(message)
            if message["say"] == say:
                return message, fds

    def end(self, worker: Pumped) -> dict[str, Any]:
        """The worker has ended: its last words."""
        self.send({"do": "end", "id": worker.number})
        return self.hear("ended")[0]

    def settle(self) -> None:
        """Wait until the pump has done what it was told, and seen what was in the pipes then."""
        for worker in self.workers:
            if worker.pipes:
                self.send({"do": "end", "id": worker.number})
                self.hear("ended")

    def settle_at_newlines(self, workers: list[Pumped], texts: list[bytes], at: list[int]) -> None:
        """Have each worker finish its line, and the pump write all there is: so a kill has nothing in hand."""
        for task, worker in enumerate(workers):
            end = texts[task].find(b"\n", max(0, at[task] - 1)) + 1 or len(texts[task])
            worker.write(texts[task][at[task] : end])
            at[task] = max(at[task], end)
        self.settle()

    def replace(self) -> None:
        """Have the pump hand over to another one, in order, perhaps before it has executed its first instruction."""
        self.process.terminate()
        self.replaced()

    def replaced(self) -> None:
        """Have another pump take over from the one that has been asked to end."""
        state = self.hear("retired")[1][0]
        assert self.process.wait(DEADLINE_S) == 0
        self._socket.close()
        self.start(state)
        for worker in self.workers:
            if worker.pipes:
                self._open(worker)

    def kill(self) -> None:
        """Kill the pump, and start another one."""
        self.process.kill()
        self.process.wait()
        self._socket.close()
        self.start()
        for worker in self.workers:
            if worker.pipes:
                self._open(worker, again=True)

    def text(self, enough: bytes | int) -> bytes:
        """Read procman's stdout until this has come, or so many bytes."""
        got, deadline = b"", monotonic() + DEADLINE_S
        while enough not in got if isinstance(enough, bytes) else len(got) < enough:
            ready, _, _ = select.select([self.read], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"never came: {enough!r} after {got[-2000:]!r}"
            got += os.read(self.read, 1 << 20)
        return got

    def leave(self) -> None:
        """The core goes."""
        self._socket.close()

    def finish(self) -> int:
        """The core goes, and so do all writers; the pump's exit code."""
        for worker in self.workers:
            worker.close()
        self._socket.close()
        return self.process.wait(DEADLINE_S)

    def __enter__(self) -> Core:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._socket.close()
        for worker in self.workers:
            worker.close()
        for end in {self.read, self._stdout} - {-1, 1}:
            with suppress(OSError):
                os.close(end)

    def _open(self, worker: Pumped, **more: Any) -> None:
        self.send({**worker.message, **more}, [ends[0] for ends in worker.pipes.values()])
