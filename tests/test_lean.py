"""The core's NamedTuple is that of `typing` in all that anybody asks of one, and a fraction of it in memory."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import NamedTuple as Real

import pytest

from procman.lean import NamedTuple, assert_never, least, suppress


class Point(NamedTuple):
    """Where."""

    x: int
    y: int = 5
    name: str = ""

    @property
    def sum(self) -> int:
        return self.x + self.y

    def __str__(self) -> str:
        return f"{self.x}:{self.y}"


class Nothing(NamedTuple):
    """No field."""


class Twin(Real):
    x: int
    y: int = 5
    name: str = ""


def test_it_is_made_shown_changed_and_compared_as_that_of_typing() -> None:
    point: Any
    twin: Any
    point, twin = Point(1, name="here"), Twin(1, name="here")
    assert repr(point) == repr(twin).replace("Twin", "Point")
    assert (point, hash(point), point._asdict()) == (twin, hash(twin), twin._asdict())
    assert [point._replace(y=7), point._make([1, 2, "a"])] == [twin._replace(y=7), twin._make([1, 2, "a"])]
    assert (Point._fields, Point.__annotations__, Point.__doc__) == (Twin._fields, {**Point.__annotations__}, "Where.")
    assert (str(point), point.sum, Nothing(), repr(Nothing())) == ("1:5", 6, (), "Nothing()")


def test_its_fields_are_matched_by_place_and_by_name() -> None:
    match Point(1):
        case Point(1, y, name=name):
            assert (y, name) == (5, "")
        case _:
            pytest.fail("it is not matched")


def test_a_copy_is_of_the_same_class() -> None:
    copies = [copy.copy(Point(1)), copy.deepcopy(Point(1)), pickle.loads(pickle.dumps(Point(1)))]
    assert [(type(one), one) for one in copies] == [(Point, Point(1))] * 3


@pytest.mark.parametrize("wrong", [{}, {"x": 1, "z": 3}, {"y": 1}])
def test_a_value_with_other_fields_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Point(**wrong)


def test_a_field_that_is_not_there_cannot_be_replaced_nor_any_be_changed() -> None:
    point: Any = Point(1)
    with pytest.raises(TypeError, match="Point has no z"):
        point._replace(z=1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        point.other = 2


def test_only_errors_that_are_named_are_suppressed() -> None:
    done = []
    for error in (None, FileNotFoundError, PermissionError):
        with suppress(FileNotFoundError, PermissionError):
            if error is not None:
                raise error
            done.append("through")
    with pytest.raises(ValueError, match="another"), suppress(OSError):
        raise ValueError("another")
    assert done == ["through"]


def test_a_case_that_was_proved_impossible_is_told_if_it_comes() -> None:
    with pytest.raises(AssertionError, match="'it came'"):
        assert_never("it came")  # type: ignore[arg-type]


def test_the_least_of_some_that_may_be_none() -> None:
    assert least([None, 3.0, None, 0.0, 2.0]) == 0.0
    assert least(time for time in (None, -1.5)) == -1.5
    assert least([None, None]) is least([]) is None


GROWTH = """\
import sys, tracemalloc
sys.path.append(sys.argv[1])
from typing import NamedTuple as Real
from procman.lean import NamedTuple
source = "class Value(Base):\\n" + "".join(f"    field{n}: tuple[str, ...] | None = None\\n" for n in range(9))
code = compile("from __future__ import annotations\\n" + source, "", "exec")
sizes = []
for base in (Real, NamedTuple):
    exec(code, {"Base": base, "__name__": "here"})
    tracemalloc.start()
    kept = []
    for _ in range(20):
        names = {"Base": base, "__name__": "here"}
        exec(code, names)
        kept.append(names)
    sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
import json; print(json.dumps(sizes))
"""


def test_a_class_takes_half_the_memory_or_less() -> None:
    command = [sys.executable, "-I", "-S", "-c", GROWTH, str(Path(__file__).parents[1])]
    real, lean = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    assert lean < real / 2
