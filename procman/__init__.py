"""procman: a configuration-driven process manager for Linux.

`fork_processes` forks the calling program, as procman's ancestor does; the other functions are for workers, see
`procman.worker`. They are imported when they are asked for: importing procman, which its own lean core does, costs
nothing.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "fork_processes", "listen_sockets", "ready", "stopping", "task_id"]

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from procman.prefork.fork_processes import fork_processes
    from procman.worker import listen_sockets, ready, stopping, task_id


def __getattr__(name: str) -> object:
    if name == "fork_processes":
        from procman.prefork import fork_processes as forking

        return forking.fork_processes
    if name in ("listen_sockets", "ready", "stopping", "task_id"):
        from procman import worker

        return getattr(worker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
