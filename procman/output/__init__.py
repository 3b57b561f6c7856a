"""Workers' output: the pump, which frames and writes it, and those who read what it has written.

The pump is a child process of the core (`pump.py`). Of this room the core itself imports only `protocol.py`, the
language in which they talk.
"""
