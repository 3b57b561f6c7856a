"""A consumer of a queue, as Celery's workers are: one job at a time, acknowledged when it is done.

When it is asked to stop it finishes the job in its hands, and takes no other.
"""

from __future__ import annotations

import os
import select
import signal
import socket

import procman


def consume(broker: str) -> None:
    """Take jobs from the broker, a unix socket, until it has no more or a stop is asked for."""
    stopping = procman.stopping()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(broker)
        os.write(1, b"up\n")
        while not stopping:
            channel.send(b"give")
            ready, _, _ = select.select([channel.fileno(), stopping.fileno()], [], [])
            if channel.fileno() in ready:
                job = channel.recv(100).decode()
                if not job:
                    return
                channel.send(f"done {job} {work(job)}".encode())


def work(job: str) -> int:
    """The square of a number; a job that begins with `kill` is the end of its worker, once."""
    if job.startswith("kill") and not os.path.exists(job.partition(":")[2]):  # noqa: PTH110
        open(job.partition(":")[2], "w").close()  # noqa: PTH123
        os.kill(os.getpid(), signal.SIGKILL)
    return int(job) ** 2 if job.isdecimal() else 0
