"""Where a group listens: from `tcp://127.0.0.1:8000`, `udp://…` or `unix:run/api.sock` to kind, host and port.

No name is looked up: a name may stand for several addresses, and a site must not wait for a name server.
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from procman.choices import ListenKind
from procman.config.scalars.values import BadValueError, nearest, show

PATTERN = r"^\s*((tcp|udp)://.*:[0-9]+/?|unix:.+)\s*$"

_HINT = 'write "tcp://127.0.0.1:8000", "tcp://[::1]:8000", "udp://0.0.0.0:53" or "unix:run/api.sock"'
_KINDS: dict[str, ListenKind] = {"tcp": "tcp", "udp": "udp", "unix": "unix"}
_EVERYWHERE = {"": "0.0.0.0", "*": "0.0.0.0", "localhost": "127.0.0.1"}


class Address(NamedTuple):
    """Of a socket."""

    kind: ListenKind
    host: str
    """In digits; of a unix socket the path as written, or "@" and an abstract name."""
    port: int = 0


def parse_listen(value: Any) -> Address:
    """An address to listen on."""
    if not isinstance(value, str):
        raise BadValueError(f"{show(value)} is no address to listen on", _HINT)
    scheme, colon, rest = value.strip().partition(":")
    kind = _KINDS.get(scheme.lower())
    if not colon or kind is None:
        near = nearest(scheme, list(_KINDS)) if colon and not scheme.isdigit() else None
        hint = f'did you mean "{near}:{rest}"?' if near else _HINT
        raise BadValueError(f"{show(value)} is no address to listen on", hint)
    rest = rest.removeprefix("//")
    if kind == "unix":
        return _unix(rest, value)
    host, colon, port = rest.removesuffix("/").rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        raise BadValueError(f"{show(value)} has no port, or an IPv6 address without brackets", _HINT)
    return Address(kind, _host(host, value), _port(port, value))


def _unix(path: str, value: str) -> Address:
    if not path.strip("/@") or "\0" in path or path.endswith("/"):
        raise BadValueError(f"{show(value)} names no file", 'write "unix:run/api.sock", or "unix:@name" for none')
    if path.startswith("~"):
        raise BadValueError(f"~ is not expanded: {show(value)}", 'write "unix:${HOME}/…"')
    return Address("unix", path)


def _host(text: str, value: str) -> str:
    text = _EVERYWHERE.get(text, text)
    try:
        bare = text[1:-1] if text.startswith("[") else text
        return str(ipaddress.ip_address("" if "%" in bare else bare))
    except ValueError:
        hint = 'write an address in digits, "localhost", or nothing for all of IPv4: "tcp://:8000"'
        raise BadValueError(f"{show(text)} in {show(value)} is no IP address", hint) from None


def _port(text: str, value: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536:
        return int(text)
    raise BadValueError(f"{show(text)} in {show(value)} is no port", "ports lie between 1 and 65535; 0 is any free one")
