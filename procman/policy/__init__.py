"""The deciding half: pure code, without a clock, a syscall, randomness or logging.

Begin with `events/` (the vocabulary), then `restart.py`, `worker.py`, `supervisor.py`, `manager.py`.
"""
