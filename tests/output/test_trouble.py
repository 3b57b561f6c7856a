"""What cannot be written: a full disk, a reader that stopped, a directory that has gone. The account is exact."""

from __future__ import annotations

import os
import re
import select
from pathlib import Path

from tests.output.disks import disk_of_its_own, freeze, root_only, small_disk, thaw
from tests.output.pumping import DEADLINE_S, Core, Pumped, output, sink

MARK = re.compile(rb"\xe2\x80\xa6 ([\d,]+) lines? \([\d.e+]+ [kMG]?B\) not written: (.*)")
SMALL = 65536


def numbered(first: int, count: int) -> bytes:
    return b"".join(b"%07d %b\n" % (number, b"x" * 91) for number in range(first, first + count))


def account(data: bytes) -> tuple[list[int], int]:
    """The numbers that came through, and how many lines the marks say are missing."""
    numbers, missing = [], 0
    for line in data.splitlines():
        mark = MARK.fullmatch(line)
        if mark is None:
            numbers.append(int(line[:7]))
        else:
            missing += int(mark[1].replace(b",", b""))
    return numbers, missing


def say(core: Core, worker: Pumped, first: int, count: int) -> None:
    """Have it say so many lines, and the pump take them."""
    for at in range(first, first + count, 500):
        worker.write(numbered(at, min(500, first + count - at)))
        core.end(worker)


@root_only
def test_a_full_disk_is_counted_marked_told_once_and_used_again_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, Core() as core:
        file, ballast = disk / "web.log", disk / "ballast"
        ballast.write_bytes(b"x" * 32768)
        web = core.open(output(sink("file", str(file)), buffer=SMALL))
        say(core, web, 0, 3000)
        ballast.unlink()
        say(core, web, 3000, 20)
        numbers, missing = account(file.read_bytes())
        assert numbers[-1] == 3019
        assert numbers == sorted(set(numbers))
        assert len(numbers) + missing == 3020
        losses = [message for message in core.said if message["say"] == "lost"]
        assert (losses[0]["reason"], losses[0]["over"], losses[-1]["over"]) == ("no space left on device", False, True)
        assert sum(message["lines"] for message in losses) == missing


@root_only
def test_after_a_killed_pump_the_next_one_tells_that_the_loss_is_over(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, Core() as core:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 32768)
        web = core.open(output(sink("file", str(disk / "web.log")), buffer=SMALL))
        say(core, web, 0, 3000)
        core.kill()
        core.said.clear()
        core.end(web)
        assert [message["say"] for message in core.said] == ["begun", "ended"]
        ballast.unlink()
        say(core, web, 3000, 20)
        losses = [message for message in core.said if message["say"] == "lost"]
        assert [(message["lines"], message["over"]) for message in losses] == [(0, True)]


def test_dev_full_is_a_full_disk_and_told_once() -> None:
    with Core() as core:
        web = core.open(output(sink("file", "/dev/full"), buffer=SMALL))
        for at in range(100):
            say(core, web, 30 * at, 30)
        losses = [message for message in core.said if message["say"] == "lost"]
        assert (losses[0]["reason"], losses[0]["over"]) == ("no space left on device", False)
        assert len(losses) < 50  # at once, and then each second


def test_a_reader_that_stopped_loses_the_oldest_and_finds_a_mark() -> None:
    with Core() as core:
        web = core.open(output(sink("json"), buffer=SMALL, objects="text"))
        say(core, web, 0, 5000)
        web.write(b"the end\n")
        got = core.text(b'"message":"the end"')
        written = got.count(b'"message":"0')
        missing = sum(int(number) for number in re.findall(rb'"lost_lines":(\d+)', got))
        assert missing > 0
        assert written + missing == 5000


def test_who_floods_loses_and_the_others_do_not() -> None:
    with Core() as core:
        to = output(sink("prefix"), buffer=SMALL)
        flood, quiet = core.open(to, "flood"), core.open(to, "quiet")
        for at in range(20):
            quiet.write(b"word %d\n" % at)
            core.end(quiet)
            say(core, flood, at * 500, 500)
        flood.write(b"the end\n")
        lines = core.text(b"the end\n").splitlines()
        said = [line for line in lines if line.startswith(b"quiet.0 | ")]
        assert said == [b"quiet.0 | word %d" % at for at in range(20)]
        assert any(b"not written" in line for line in lines if line.startswith(b"flood.0 | "))


def test_on_full_block_makes_the_worker_wait_and_loses_nothing() -> None:
    with Core() as core:
        web = core.open(output(sink("json"), buffer=SMALL, on_full="block", objects="text"))
        os.set_blocking(web.pipes["stdout"][1], False)
        data, sent, got = numbered(0, 5000), 0, b""
        while sent < len(data):
            try:
                sent += os.write(web.pipes["stdout"][1], data[sent : sent + 65536])
            except BlockingIOError:
                got += core.text(1)  # the worker would wait: so somebody has to read
        while b'"message":"0004999' not in got:
            got += core.text(1)
        assert [int(number) for number in re.findall(rb'"message":"(\d{7})', got)] == [*range(5000)]
        assert b"lost_lines" not in got


@root_only
def test_a_disk_that_hangs_holds_up_nobody_and_what_was_too_much_is_in_the_account(tmp_path: Path) -> None:
    with disk_of_its_own(tmp_path) as disk, Core() as core:
        file, well = disk / "web.log", tmp_path / "well.log"
        web, other = (
            core.open(output(sink("file", str(file)), buffer=SMALL)),
            core.open(output(sink("file", str(well)))),
        )
        say(core, web, 0, 10)
        freeze(disk)
        say(core, web, 10, 5000)  # the last words are told all the same
        other.write(b"well\n")
        core.end(other)
        assert well.read_bytes() == b"well\n"
        core.process.terminate()  # it hands on what it has once it knows what has been written
        say(core, web, 5010, 10)
        thaw(disk)
        core.replaced()
        say(core, web, 5020, 10)
        numbers, missing = account(file.read_bytes())
        assert missing > 0
        assert numbers == sorted(set(numbers))
        assert (numbers[0], numbers[-1], len(numbers) + missing) == (0, 5029, 5030)
        assert {m["reason"] for m in core.said if m["say"] == "lost"} == {"the disk does not answer"}


def test_a_file_that_was_deleted_and_its_directory_are_made_again(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "logs" / "web.log"
        web = core.open(output(sink("file", str(file))))
        web.write(b"one\n")
        core.end(web)
        file.unlink()
        file.parent.rmdir()
        web.write(b"two\n")
        core.end(web)
        assert file.read_bytes() == b"two\n"


def test_a_fifo_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    with Core() as core:
        os.mkfifo(tmp_path / "fifo")
        web = core.open(output(sink("file", str(tmp_path / "fifo")), buffer=SMALL))
        other = core.open(output(sink("file", str(tmp_path / "other.log"))), "other")
        say(core, web, 0, 3000)
        other.write(b"well\n")
        core.end(other)
        assert (tmp_path / "other.log").read_bytes() == b"well\n"
        assert [m["outlet"] for m in core.said if m["say"] == "lost"][:1] == [str(tmp_path / "fifo")]


def test_what_waits_and_the_account_of_what_was_lost_go_over_to_the_next_pump(tmp_path: Path) -> None:
    with Core() as core:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        web = core.open(output(sink("file", str(fifo)), buffer=SMALL))
        say(core, web, 0, 3000)
        core.replace()
        say(core, web, 3000, 10)
        end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        core.replace()
        got = b""
        while b"0003009 " not in got or not got.endswith(b"\n"):
            assert select.select([end], [], [], DEADLINE_S)[0]
            got += os.read(end, 1 << 20)
        os.close(end)
        core.settle()
        numbers, missing = account(got)
        assert missing > 0
        assert len(numbers) + missing == 3010
        losses = [message for message in core.said if message["say"] == "lost"]
        assert (sum(message["lines"] for message in losses), losses[-1]["over"]) == (missing, True)


def test_a_directory_that_cannot_be_made_is_told_with_its_reason(tmp_path: Path) -> None:
    with Core() as core:
        (tmp_path / "logs").write_text("no directory", encoding="utf-8")
        web = core.open(output(sink("file", str(tmp_path / "logs" / "web.log")), buffer=SMALL))
        say(core, web, 0, 2000)
        assert [m["reason"] for m in core.said if m["say"] == "lost"][:1] == ["not a directory"]


def test_a_file_moved_away_is_written_on_until_it_is_opened_anew(tmp_path: Path) -> None:
    with Core() as core:
        file, old = tmp_path / "web.log", tmp_path / "old.log"
        web = core.open(output(sink("file", str(file))))
        for word in (b"one\n", b"two\n", b"three\n"):
            web.write(word)
            core.end(web)
            if word == b"one\n":
                file.rename(old)
            elif word == b"two\n":
                core.send({"do": "reopen"})
        assert (old.read_bytes(), file.read_bytes()) == (b"one\ntwo\n", b"three\n")
