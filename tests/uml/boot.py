"""`python boot.py KERNEL ARGUMENTS…`: become a user-mode Linux that runs on every x86-64, the newest ones too.

With each switch this kernel sets a process's extended registers (NT_X86_XSTATE in ptrace(2)) from a buffer of 2.7 kB,
and the machine refuses that where the registers are larger than that (AMX): nothing ever runs. Where it cannot read
them at its start it does with the old registers (PTRACE_SETFPREGS) instead: so it is not let read them. It preserves no
AVX then, and so nothing in it may use any: `TUNABLES` tells glibc, which is what would.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

TUNABLES = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX_Fast_Unaligned_Load,-XSAVE,-XSAVEC"
"""The machine's first process has what stands among the kernel's arguments in its environment."""

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, UNLESS, RETURN = 0x20, 0x15, 0x06  # of BPF, on words of 32 bits
ALLOW, REFUSE_EINVAL = 0x7FFF0000, 0x00050016
NUMBER, REQUEST, ADDRESS = 0, 16, 32  # where struct seccomp_data has the call's number, its first and its third word
PTRACE, PTRACE_GETREGSET, NT_X86_XSTATE = 101, 0x4204, 0x202

FILTER = [
    (LOAD, 0, NUMBER),
    (UNLESS, 5, PTRACE),
    (LOAD, 0, REQUEST),
    (UNLESS, 3, PTRACE_GETREGSET),
    (LOAD, 0, ADDRESS),
    (UNLESS, 1, NT_X86_XSTATE),
    (RETURN, 0, REFUSE_EINVAL),
    (RETURN, 0, ALLOW),
]
"""What to do, how many instructions to skip if it is not so, and the operand."""


def main() -> None:
    """Never returns; raises OSError where there is no such kernel, or no filter."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", do, 0, skip, with_) for do, skip, with_ in FILTER))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(FILTER), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "no filter of system calls")
    os.execvp(sys.argv[1], [*sys.argv[1:], TUNABLES])


if __name__ == "__main__":
    main()
