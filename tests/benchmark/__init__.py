"""Figures beside a C loop measured in the same run: `python -m tests.benchmark`. Asserts nothing."""
