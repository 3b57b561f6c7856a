"""The doing half: processes, signals, time and descriptors. It decides nothing.

`loop.py` is where it meets the policy; `linux.py` is the real machine, `simulated.py` a made-up one.
"""
