"""argv in, one function a command: the composition root, the only room that knows all the others.

Its first act, before the command line is even read, is to hold the signals if this is process 1: there one that is not
handled is dropped, and one that is blocked stays pending, over exec too, until the core has its handlers.
"""

import os

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # builtin: loaded at once

CALLERS_MASK = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() if os.getpid() == 1 else ())
"""What whoever called procman had blocked: `init` gives it back to its command."""
