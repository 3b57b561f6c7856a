"""A real pump: where lines go, what becomes of them when it is replaced or killed, and what it tells the core."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.output.pumping import DEADLINE_S, Core, output, sink


def test_lines_for_people_have_an_aligned_prefix() -> None:
    with Core() as core:
        to = output(sink("prefix"))
        web, mail = core.open(to, "web"), core.open(to, "mailer", 10)
        web.write(b"one\ntwo\n")
        core.end(web)
        mail.write(b"three\n")
        assert core.text(b"three\n") == b"web.0     | one\nweb.0     | two\nmailer.10 | three\n"


def test_half_lines_of_two_workers_in_one_stream_are_never_joined() -> None:
    with Core() as core:
        web, mail = core.open(output(sink("prefix")), "web"), core.open(output(sink("prefix")), "mail")
        web.write(b"ab")
        mail.write(b"AB")
        for _ in range(2):  # by the second answer the pump has read what was there at the first
            core.send({"do": "ping"})
            core.hear("pong")
        web.write(b"cd\nleft")
        core.end(web)
        mail.write(b"CD\n")
        assert core.text(b"CD\n") == b"web.0  | abcd\nweb.0  | left\nmail.0 | ABCD\n"


def test_a_line_that_does_not_end_costs_no_memory_and_holds_up_nobody(tmp_path: Path) -> None:
    with Core() as core:
        long, well = tmp_path / "long.log", tmp_path / "well.log"
        web = core.open(output(sink("file", str(long))))
        other = core.open(output(sink("file", str(well))), "other")
        core.end(other)
        before = _peak_kb(core)
        for at in range(20):
            web.write(b"x" * (1 << 20))
            other.write(b"%d\n" % at)
            core.end(other)
            assert well.read_bytes().count(b"\n") == at + 1
        web.write(b"\nshort\n")
        core.end(web)
        cut, short = long.read_text(encoding="utf-8").splitlines()
        assert (cut, short) == ("x" * 65536 + f"… ({(20 << 20) - 65536:,} bytes cut)", "short")
        assert _peak_kb(core) - before < 6000


def _peak_kb(core: Core) -> int:
    status = Path(f"/proc/{core.process.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def test_the_last_words_are_told_when_all_lines_are_written() -> None:
    with Core() as core:
        web = core.open(output(sink("prefix")))
        web.write(b"".join(b"%d\n" % number for number in range(1000)))
        core.end(web)
        os.set_blocking(core.read, False)
        assert os.read(core.read, 1 << 20) == b"".join(b"web.0 | %d\n" % number for number in range(1000))


def test_lines_as_json_say_who_has_written_them() -> None:
    with Core() as core:
        web = core.open(output(sink("json")), "web", 3, "stdout", "stderr")
        web.write(b'say "hi"\n', "stderr")
        line = json.loads(core.text(b"\n"))
        assert line.pop("ts").endswith("Z")
        about = {"site": "shop", "group": "web", "task": 3, "pid": 4001, "stream": "stderr"}
        assert line == {**about, "message": 'say "hi"'}


def test_the_last_words_of_a_worker_are_its_last_lines_and_its_exception() -> None:
    with Core() as core:
        web = core.open(output(sink("json")), "web", 0, "stdout", "stderr")
        web.write(b"out\n")
        trace = b'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nValueError: no such user'
        web.write(b"1\n2\n3\n" + trace, "stderr")
        words = core.end(web)
        assert words["exception"] == "ValueError: no such user"
        lines = ["3", "Traceback (most recent call last):", '  File "x.py", line 1, in f', "    g()"]
        assert words["tail"] == [*lines, "ValueError: no such user"]


def test_a_file_gets_the_very_bytes(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "logs" / "web.log"
        web = core.open(output(sink("file", str(file))))
        data = bytes(range(256)) * 3 + b"\xc3"
        web.write(data)
        core.end(web)
        assert file.read_bytes() == data + b"\n"


def test_a_pump_replaced_in_order_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(output(sink("file", str(file))))
        web.write(b"one\ntw")
        core.replace()
        web.write(b"o\nth")
        core.replace()
        web.write(b"ree")
        core.end(web)
        assert file.read_bytes() == b"one\ntwo\nthree\n"


def test_pumps_that_are_replaced_at_once_hand_on_what_the_first_has_left() -> None:
    with Core() as core:
        web = core.open(output(sink("prefix")))
        web.write(b"one\ntw")
        assert core.text(b"\n") == b"web.0 | one\n"
        for _ in range(3):
            core.replace()
            core.process.send_signal(signal.SIGINT)
            core.process.send_signal(signal.SIGHUP)
        web.write(b"o\n")
        assert core.text(b"\n") == b"web.0 | two\n"


def test_a_pump_that_is_ended_without_a_core_writes_what_it_has(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(output(sink("file", str(file))))
        core.end(web)
        web.write(b"one\nlast")
        core.leave()
        core.process.terminate()
        assert core.process.wait(DEADLINE_S) == 0
        assert file.read_bytes() == b"one\nlast\n"


def test_after_a_killed_pump_the_stream_is_marked_and_goes_on(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(output(sink("file", str(file))))
        web.write(b"one\n")
        core.end(web)
        core.kill()
        web.write(b"two\n")
        core.end(web)
        one, mark, two = file.read_text(encoding="utf-8").splitlines()
        assert (one, two) == ("one", "two")
        assert mark.startswith("… up to 64 KiB, a line, and what waited to be written, are missing or repeated here")


def test_the_pump_goes_on_without_the_core_until_nobody_writes(tmp_path: Path) -> None:
    with Core() as core:
        file = tmp_path / "web.log"
        web = core.open(output(sink("file", str(file))))
        web.write(b"one\nlast")
        assert core.finish() == 0
        assert file.read_bytes() == b"one\nlast\n"


def test_a_line_that_is_looked_for_is_told_once() -> None:
    with Core() as core:
        web = core.open(output(sink("null")), ready="^started on port [0-9]+$")
        web.write(b"not started on port 1\nstarted on port 8000\nstarted on port 8001\n")
        core.end(web)
        assert [message["say"] for message in core.said] == ["begun", "ready", "ended"]
        assert core.said[1]["worker"] == ["web", 0, 1]
