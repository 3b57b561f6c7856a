"""Which helpers there are: by kind, what makes one. What each does, and is told, only its own module knows."""

from __future__ import annotations

from collections.abc import Callable

from procman.kernel.guard.guard import Guard
from procman.kernel.helpers.helpers import Helper, Tell
from procman.kernel.helpers.scheduler import Scheduler
from procman.kernel.helpers.watch import Watch, Write
from procman.kernel.output.pump import Pump
from procman.kernel.spawn.spawn import Spawner
from procman.kernel.wait.poller import Poller
from procman.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def helper_kinds(
    poller: Poller,
    spawner: Spawner,
    guard: Guard,
    pump: Pump,
    library: str,
    deliver: Callable[[Any], None],
    write: Write,
) -> dict[str, Callable[[str, Tell], Helper]]:
    """As `helpers.Helpers` takes them. `library` is for those that import more than the core; see `channel.argv`."""
    return {
        "guard": lambda _name, _tell: guard,
        "pump": lambda _name, _tell: pump,
        "scheduler": lambda _name, tell: Scheduler(poller, spawner, library, deliver, tell),
        "watch": lambda _name, tell: Watch(poller, spawner, library, deliver, write, tell),
    }
