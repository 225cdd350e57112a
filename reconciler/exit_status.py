"""How the programs of the Jobs end."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a process ends with. A Job that did not end with DONE has failed, and its last words say why."""

    DONE = 0
    NOT_IN_TIME = 1
    REFUSED = 2
    """Trying again would not help."""
