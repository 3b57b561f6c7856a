"""Commands that are known to leave their worker: daemons that go into the background, and what keeps each in front.

A small table of what people run. Pure: a command in, advice out. No file is looked at: where one that the command
names can keep it in front, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_UNLESS: dict[str, tuple[str, str]] = {
    "apache2": ("-X|-D ?(FOREGROUND|NO_DETACH)", "-DFOREGROUND"),
    "apache2ctl": ("-X|-D ?(FOREGROUND|NO_DETACH)|configtest|fullstatus", "-DFOREGROUND"),
    "chronyd": ("-[A-Za-z]*[dnQqxp]", "-n"),
    "cron": ("-[a-z]*f", "-f"),
    "crond": ("-[a-z]*[fn]", "-f (of busybox) or -n"),
    "dnsmasq": ("-[a-z]*[dk]|--keep-in-foreground|--no-daemon", "-k"),
    "nginx": ("-[tTvVh?]+|-[cs]|.*daemon off.*", "-g 'daemon off;'"),
    "pg_ctlcluster": ("--foreground|stop|reload|promote|status", "--foreground"),
    "php-fpm": ("-[A-Za-z]*[Ftvimhy]|--nodaemonize|--test|--fpm-config.*", "--nodaemonize"),
    "proftpd": ("-[A-Za-z]*[nt]|--nodaemon", "--nodaemon"),
    "rsyslogd": ("-[A-Za-z]*[nNv]", "-n"),
    "squid": ("-[A-Za-z]*[NkzvhP]|--foreground", "--foreground"),
    "sshd": ("-[A-Za-z0-9]*[DdeitTV]", "-D"),
    "supervisord": ("-[a-z]*[cnvh]|--nodaemon|--configuration.*", "--nodaemon"),
    "varnishd": ("-[A-Za-z]*[FdCV]", "-F"),
}
"""By program: which word (or two) keeps it in front, or has it do something else; and which is advised."""

_IF: dict[str, tuple[str, str]] = {
    "celery": ("multi|-D|--detach", "`celery worker`"),
    "gunicorn": ("-D|--daemon", "leaving it out"),
    "haproxy": ("-[A-Za-z]*D[A-Za-z]*", "leaving it out, or -W"),
    "memcached": ("-d|--daemon", "leaving it out"),
    "mongod": ("--fork", "leaving it out"),
    "mysqld": ("--daemonize|-D", "leaving it out"),
    "pg_ctl": ("start|restart", "`postgres -D …`"),
    "postfix": ("start", "`postfix start-fg`"),
    "rabbitmq-server": ("-detached", "leaving it out"),
    "redis-sentinel": ("--daemonize yes", "leaving it out"),
    "redis-server": ("--daemonize yes", "leaving it out"),
    "uwsgi": ("-d|--daemonize(2?)|--daemonize2?=.*", "leaving it out"),
    "valkey-server": ("--daemonize yes", "leaving it out"),
}
"""By program: which word (or two) sends it into the background, and what is advised instead."""

_VERSION = re.compile(r"[-.\d]+$")
"""`php-fpm8.2`."""


_APART = frozenset({"postgres", "postmaster"})
"""In front, but each of its processes in a session of its own, with no environment: killed, it leaves strays."""


def leaving(command: Sequence[str]) -> str:
    """Why this command would leave its worker, and what to do about it; "" for one that is not known to."""
    program = command[0].rpartition("/")[2]
    if program in _APART:
        return (
            f"`{program}` has processes that cannot be traced once it is killed: a busy one lives on, "
            "and lets no new server start; cgroup = true has all of it end together"
        )
    name = next((one for one in (program, _VERSION.sub("", program)) if one in _UNLESS or one in _IF), "")
    if name in _UNLESS:
        stays, fix = _UNLESS[name]
        if _word(command, stays):
            return ""
        way = f"`{program}` goes into the background"
    elif name in _IF:
        leaves, fix = _IF[name]
        found = _word(command, leaves)
        if not found:
            return ""
        way = f"`{program} {found}` goes into the background"
    else:
        return ""
    return f"{way}, and its worker seems to end: {fix} keeps it in front; cgroup = true has all of it end together"


def _word(command: Sequence[str], pattern: str) -> str:
    """The first word, or two in a row, that fits; "" if none does."""
    words = command[1:]
    pairs = [" ".join(pair) for pair in pairwise(words)]
    return next((word for word in (*words, *pairs) if re.fullmatch(pattern, word)), "")
