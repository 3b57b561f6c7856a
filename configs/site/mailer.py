"""A background worker; the one with number 1 has a fault that it dies of now and then."""

import os
import random
import resource
import signal
import sys

TASK = int(os.environ["PROCMAN_TASK_ID"])
FIRST = os.environ["PROCMAN_GENERATION"] == "1"


def main() -> None:
    """Wait for mail that never comes, or for the fault."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if TASK == 1:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it dies too often to keep what is left
        signal.signal(signal.SIGALRM, lambda *_: os.abort())
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2, 4) if FIRST else random.uniform(6, 15))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
