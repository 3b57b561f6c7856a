"""procman: a configuration-driven process manager for Linux.

`fork_processes` and `task_id` fork the calling program, as procman's ancestor does. They are imported when they are
asked for: importing procman, which its own lean core does, costs nothing.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "fork_processes", "task_id"]

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from procman.prefork.fork_processes import fork_processes, task_id


def __getattr__(name: str) -> object:
    if name in ("fork_processes", "task_id"):
        from procman.prefork import fork_processes as module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
