"""What a worker is given beside its Launch: descriptors under their numbers, variables, its own pid."""

from __future__ import annotations

import os
import sys

from procman.kernel.spawn.fork import answer
from procman.kernel.spawn.given import Given, gather
from procman.kernel.spawn.spawn import Spawner
from procman.policy.events import Spawn, WorkerId
from tests.kernel.playing import launch, play

WORKER = WorkerId("api", 0, 1)


def crossing() -> str:
    (a, a_in), (b, b_in), (out, out_in) = os.pipe(), os.pipe(), os.pipe()
    os.write(a_in, b"from a")
    os.write(b_in, b"from b")
    program = (
        "import os, sys; a, b = map(int, sys.argv[1:]);"
        "print(os.read(a, 9), os.read(b, 9), os.environ['NAME'], int(os.environ['MINE']) == os.getpid(),"
        "len(os.listdir('/proc/self/fd')))"
    )
    given = Given(out_in, None, ((a, b), (b, a)), (("NAME", "api"),), ("MINE",))
    pid, pipe = Spawner().fork(WORKER, launch(sys.executable, "-I", "-c", program, str(a), str(b)), given)
    os.waitpid(pid, 0)
    assert answer(pipe) is None
    return os.read(out, 100).decode()


def test_descriptors_are_found_under_their_numbers_even_where_these_cross() -> None:
    open_there = 6  # 0, 1, 2, the two, and the one that lists them
    assert play(crossing).value == f"b'from b' b'from a' api True {open_there}\n"


def too_high() -> list[str]:
    pid, pipe = Spawner().fork(WORKER, launch("true"), Given(fds=((5000, 2),)))
    os.waitpid(pid, 0)
    error = answer(pipe)
    assert error
    return [error.stage, error.reason]


def test_a_number_beyond_the_limit_of_descriptors_is_a_failed_start() -> None:
    assert play(too_high, prefix=("prlimit", "--nofile=64")).value[0] == "fork"


def on_the_fast_path() -> str:
    read, write = os.pipe()
    spawner = Spawner()
    given = Given(write, write, env=(("NAME", "api"),))
    assert not spawner.must_fork(launch("true"), given)
    pid = spawner.spawn(WORKER, launch("sh", "-c", "echo $NAME; echo err >&2"), given)
    os.waitpid(pid, 0)
    return os.read(read, 100).decode()


def test_output_and_variables_are_given_on_the_fast_path_too() -> None:
    assert play(on_the_fast_path).value == "api\nerr\n"


class Giver:
    """A provider of one thing."""

    def __init__(self, given: Given) -> None:
        self.given = given

    def give(self, spawn: Spawn) -> Given:
        """See `given.Provider`."""
        return self.given if spawn.worker == WORKER else Given()

    def started(self, worker: WorkerId, pid: int) -> None:
        """See `given.Provider`."""

    def ended(self, worker: WorkerId) -> None:
        """See `given.Provider`."""


def test_what_several_give_comes_together_and_the_first_goes_before() -> None:
    one = Given(7, None, ((3, 9),), (("A", "1"),), ("LISTEN_PID",))
    two = Given(8, 6, ((5, 4),), (("B", "2"),))
    both = Given(7, 6, ((3, 9), (5, 4)), (("A", "1"), ("B", "2")), ("LISTEN_PID",))
    assert gather([Giver(one), Giver(two)], Spawn(WORKER, launch("true"))) == both
