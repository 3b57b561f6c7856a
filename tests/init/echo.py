"""A command for tests: it says `ready`, then the number of every signal that it gets, and ends at the second INT."""

import os
import signal
import sys

everything = signal.valid_signals()
signal.pthread_sigmask(signal.SIG_BLOCK, everything)
os.write(1, b"ready %d\n" % os.getpid())
interrupts = 0
while interrupts < int(sys.argv[1] if len(sys.argv) > 1 else 2):
    number = signal.sigwaitinfo(everything).si_signo
    interrupts += number == signal.SIGINT
    os.write(1, b"%d\n" % number)
