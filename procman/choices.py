"""The words that a value may be one of, where only some will do: for type checkers, the configuration and the schemas.

The core never imports it: it would cost it `typing`.
"""

from __future__ import annotations

from typing import Literal

ReadyBy = Literal["notify", "fd", "http", "tcp", "exec", "log", "delay"]
HealthBy = Literal["http", "tcp", "exec", "watchdog"]
OnUnhealthy = Literal["restart", "ignore"]

Overlap = Literal["skip", "queue", "kill"]

SpawnPath = Literal["vfork", "fork"]
Threads = Literal["error", "warn", "spawn"]

ListenKind = Literal["tcp", "udp", "unix"]

SinkKind = Literal["auto", "inherit", "null", "prefix", "json", "file", "syslog", "journald"]
FileFormat = Literal["raw", "prefix", "json"]
OnFull = Literal["drop", "block"]
Objects = Literal["merge", "nest", "text"]

When = Literal["always", "on-failure", "never"]
Strategy = Literal["one-for-one", "one-for-all"]
OnExhausted = Literal["shutdown", "stop", "ignore"]
Scope = Literal["tree", "leader"]

Condition = Literal["started", "ready", "completed", "ended"]
Kind = Literal["service", "job"]
LogFormat = Literal["auto", "json", "human"]
Orphans = Literal["end", "keep"]

UpdateOrder = Literal["stop-first", "start-first"]

SiteState = Literal["starting", "ready", "reloading", "stopping"]

Stage = Literal["fork", "listen", "secret", "setup", "cwd", "exec"]
"""What failed: there was no process; a socket; a secret; an option; its directory; its program."""

Cause = Literal["oom", "core"]
"""What stands behind a signal: the kernel was out of memory; a core was dumped."""

Level = Literal["debug", "info", "warning", "error"]

Verb = Literal["start", "stop", "restart"]
Role = Literal["", "successor", "predecessor"]
Doing = Literal["", "reloading", "stopping"]
"""What a worker may say that it is about; empty: its work."""

FailureKind = Literal["exit", "health", "start"]

Fared = Literal["begun", "queued", "replaced", "skipped"]
"""What became of a call."""
