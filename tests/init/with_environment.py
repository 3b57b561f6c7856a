"""Exec a command with exactly these entries of environment: N ENTRY… COMMAND…; doubles, odd names and all."""

import ctypes
import os
import sys

count = int(sys.argv[1])
entries = [os.fsencode(word) for word in sys.argv[2 : 2 + count]]
command = [os.fsencode(word) for word in sys.argv[2 + count :]]
Strings = ctypes.c_char_p * (len(entries) + 1)
Words = ctypes.c_char_p * (len(command) + 1)
ctypes.CDLL(None).execve(command[0], Words(*command, None), Strings(*entries, None))
