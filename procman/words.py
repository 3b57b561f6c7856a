"""How procman says signals, durations, sizes and capabilities, everywhere the same, and which signal is meant.

Pure; never prints.
"""

from __future__ import annotations

from signal import SIGRTMAX, SIGRTMIN, Signals

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""Linux's, without CAP_, each at its number."""

_SIGNALS = {signal.value: signal.name for signal in Signals}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def signal_name(number: int) -> str:
    """`SIGTERM` for 15; `signal 36` for one that has no name of its own."""
    return _SIGNALS.get(number) or f"signal {number}"


def signal_number(name: str) -> int | None:
    """15 for `TERM`, `sigterm` and `15`, 35 for `RTMIN+1`; None for what is no name of a signal and no number."""
    name = name.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        return int(name) if len(name) < 4 else None
    base = {"RTMIN": SIGRTMIN, "RTMAX": SIGRTMAX}.get(name[:5])
    more = name[6:]
    if base is None or name[5:6] not in ("+", "-") or not (more.isascii() and more.isdigit() and len(more) < 3):
        return Signals[f"SIG{name}"].value if f"SIG{name}" in Signals.__members__ else None
    number = base + int(name[5:])
    return number if SIGRTMIN <= number <= SIGRTMAX else None


def capability_name(number: int) -> str:
    """`CAP_NET_ADMIN` for 12."""
    return f"CAP_{CAPABILITIES[number]}"


def duration(seconds: float) -> str:
    """As the configuration writes it, at a glance: `350ms`, `5.9s`, `2m`, `1h30m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    rest, parts = round(seconds), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest}s")
    return "".join(parts[:2])


def size(count: int) -> str:
    """`96 kB`, for people."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
