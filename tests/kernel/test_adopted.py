"""The list of the core's children: whoever is new is found, however many have come and gone in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

from procman.kernel.tree.adopted import ChildList, mark, mark_of
from tests.kernel.playing import play


def child() -> int:
    """A child that does nothing."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    return pid


def parent() -> tuple[int, int]:
    """A child that has a child of its own, which this process inherits when the first is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"%d" % child())
        signal.pause()
    found = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    return pid, found


def end(pid: int) -> None:
    """Kill a child, and reap it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def births_and_deaths(seed: int) -> list[str]:
    """Children and orphans in a random order; what was found wrong."""
    chance, kids, known, wrong = random.Random(seed), ChildList(), set[int](), []
    parents: dict[int, int] = {}
    for _ in range(120):
        match chance.choice(["child", "child", "parent", "end", "end", "look", "orphan", "replaced"]):
            case "child":
                known.add(child())
            case "parent":
                pid, parents_child = parent()
                known.add(pid)
                parents[pid] = parents_child
            case "end" if rest := sorted(known - parents.keys()):
                end(gone := chance.choice(rest))
                known.remove(gone)
            case "orphan" if parents:
                end(gone := chance.choice(sorted(parents)))
                known.remove(gone)
                found = parents.pop(gone)
                if chance.random() < 0.5:  # as many as before, and one of them unknown
                    known.add(child())
                if set(kids.without([known], len(known))) != {found}:
                    wrong.append(f"the orphan {found} was not found")
                known.add(found)
            case "replaced" if rest := sorted(known - parents.keys()):
                end(gone := chance.choice(rest))
                known.remove(gone)
                known.add(child())
            case _:
                wrong += [f"{pid} is no news" for pid in kids.without([known], len(known))]
    kids.close()
    return wrong


def test_an_orphan_is_found_whatever_came_before_it_and_nobody_else_is() -> None:
    for seed in range(5):
        assert play(births_and_deaths, seed).value == []


def reads_of_a_thousand() -> list[int]:
    """How much is read of the list at a look: at first, and when one has died and was replaced."""
    known = {child() for _ in range(1000)}
    kids, sizes, real = ChildList(), [0], os.read

    def counted(fd: int, size: int) -> bytes:
        data = real(fd, size)
        sizes[-1] += len(data)
        return data

    os.read = counted
    for _ in range(3):
        list(kids.without([known], len(known)))
        known.remove(gone := min(known))
        end(gone)
        known.add(child())
        sizes.append(0)
    return sizes[:-1]


def test_with_a_thousand_children_a_look_reads_what_is_new_and_not_the_list_again() -> None:
    first, *more = play(reads_of_a_thousand).value
    assert first > 3000
    assert max(more) < 30


def test_who_is_in_the_middle_of_an_exec_has_its_mark_all_the_same(tmp_path: Path) -> None:
    marked = {"PROCMAN_SITE": "s", "PROCMAN_GROUP": "g", "PROCMAN_TASK_ID": "0", "PROCMAN_GENERATION": "1"}
    (tmp_path / "again").write_text(f"exec sh {tmp_path}/again\n", encoding="utf-8")
    for environment, expected in ((marked, mark(b"s", b"g", b"0", b"1")), ({}, mark(b"", b"", b"", b""))):
        with subprocess.Popen(["/bin/sh", tmp_path / "again"], env={**environment, "PATH": os.defpath}) as process:
            found = {mark_of(process.pid) for _ in range(2000)}
            process.kill()
        assert found == {expected}
