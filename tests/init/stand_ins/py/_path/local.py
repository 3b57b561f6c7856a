"""See `py`."""

from _pytest._py.path import LocalPath as LocalPath
