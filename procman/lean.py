"""What the core has instead of `typing` and `contextlib`, NamedTuples at a fraction of their memory, `least` for `min`.

`typing`, and what it and `collections.namedtuple` keep for each class, would be a tenth of all that the core has in
memory: a code object for each annotation, and each method once more. To a type checker these are the real ones.
"""

from __future__ import annotations

__all__ = ["TYPE_CHECKING", "NamedTuple", "Protocol", "assert_never", "least", "suppress"]

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import suppress
    from types import TracebackType
    from typing import Any, NamedTuple, NoReturn, Protocol, Self, assert_never
else:
    from _collections import _tuplegetter  # as `collections` does

    class Protocol:
        """What is written down for the type checker only; nobody asks for it while procman runs."""

        __slots__ = ()

    def assert_never(value: Any) -> NoReturn:
        """No value comes here, as the type checker has proved."""
        raise AssertionError(f"unexpected: {value!r}")

    class suppress:  # noqa: N801 - the name of contextlib's
        """See `contextlib.suppress`."""

        __slots__ = ("_kinds",)

        def __init__(self, *kinds: type[BaseException]) -> None:
            self._kinds = kinds

        def __enter__(self) -> None:
            pass

        def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> bool:
            return kind is not None and issubclass(kind, self._kinds)

    class _Values(tuple):
        """What all NamedTuples have, once."""

        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Self:
            return cls(*values)

        def _replace(self, /, **changes: Any) -> Self:
            made = tuple.__new__(type(self), map(changes.pop, self._fields, self))
            if changes:
                raise TypeError(f"{type(self).__name__} has no {', '.join(changes)}")
            return made

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class _Maker(type):
        """Makes a class whose instances are tuples of the class body's annotated names."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = tuple([body.pop(field) for field in fields if field in body])
            arguments = "".join(f"{field}, " for field in fields)
            new = eval(f"lambda _cls, {arguments}: _new(_cls, ({arguments}))", {"_new": tuple.__new__})
            new.__name__, new.__defaults__ = name, defaults
            getters = {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            body |= {"__slots__": (), "_fields": fields, "__match_args__": fields, "__new__": new, **getters}
            return type(name, (_Values,), body)

    class NamedTuple(metaclass=_Maker):
        """See `typing.NamedTuple`."""


def least(times: Iterable[float | None]) -> float | None:
    """The least of them, in a fifth of the time of a `min` without those that are None; None if all are."""
    found = None
    for time in times:
        if time is not None and (found is None or time < found):
            found = time
    return found
