"""What a child has of its parent: everything open, every handler, the mask, and no random number."""

from __future__ import annotations

from pathlib import Path

from tests.prefork.program import run

SURROUNDINGS = """
    import ctypes  # opens nothing later
    usr1 = lambda *_: None
    signal.signal(signal.SIGUSR1, usr1)
    signal.signal(signal.SIGTERM, usr1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, {chld})
    signal.pthread_sigmask(signal.SIG_BLOCK, {mask})
    wakeup = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(wakeup[1])

    def surroundings():
        links = [f"/proc/self/fd/{{fd}}" for fd in range(64)]
        fds = {{link: os.readlink(link) for link in links if os.path.lexists(link)}}
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        handlers = {{number: signal.getsignal(number) for number in signal.valid_signals()}}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return fds, handlers, mask, wakeup

    log = {log}
    before = surroundings()
    try:
        task = fork_processes(2, log=log)
    except SystemExit:
        say("parent", surroundings() == before)
        sys.exit()
    say("child", task, surroundings() == before)
    if task == 1 and once("failed"):
        os._exit(1)
    """


def test_descriptors_handlers_mask_and_wakeup_descriptor_are_those_of_before_the_call(tmp_path: Path) -> None:
    expected = ["child 0 True", "child 1 True", "child 1 True", "parent True"]
    for number, (chld, mask, log) in enumerate(
        [
            ("signal.SIG_DFL", "[]", "None"),
            ("signal.SIG_IGN", "[signal.SIGCHLD, signal.SIGUSR2]", "'events'"),
            ("usr1", "[signal.SIGTERM]", "os.open('events', os.O_CREAT | os.O_WRONLY)"),
            ("usr1", "[]", "1"),
        ]
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        ended = run(SURROUNDINGS.format(chld=chld, mask=mask, log=log), directory)
        assert (sorted(line for line in ended if line[0] != "{"), ended.code) == (expected, 0)


def test_random_numbers_differ_between_children_and_after_a_restart(tmp_path: Path) -> None:
    body = """
        import random, secrets, ssl, uuid
        import numpy
        random.seed(1)
        numpy.random.seed(1)
        ssl.RAND_bytes(8)
        task = fork_processes(3)
        sources = {
            "random": random.random, "numpy": numpy.random.random, "secrets": lambda: secrets.token_hex(8),
            "ssl": lambda: ssl.RAND_bytes(8).hex(), "uuid": uuid.uuid4,
        }
        for name, draw in sources.items():
            say(name, draw())
        if once("failed"):
            os._exit(1)
        """
    lines = run(body, tmp_path)
    assert (len(lines), len(set(lines))) == (20, 20)


def test_a_program_that_has_used_numpy_forks_without_a_warning_and_uses_it_in_the_children(tmp_path: Path) -> None:
    body = """
        import numpy
        ones = numpy.ones((300, 300))
        assert (ones @ ones)[0, 0] == 300
        task = fork_processes(4)
        say((ones @ ones * (task + 1)).sum() / 300 ** 3)
        """
    ended = run(body, tmp_path)
    assert (sorted(ended), ended.code, ended.err) == (["1.0", "2.0", "3.0", "4.0"], 0, "")
