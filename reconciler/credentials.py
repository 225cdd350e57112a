"""By which user and password nodes let the reconciler in."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

FILE = "REDIS_CREDENTIALS"
"""Variable that names the file of them, which a Job has from the pool's Secret."""

PASSWORD = "REDISCLI_AUTH"  # noqa: S105 (the name of a variable)
"""Variable of the password alone, as redis-cli has it: without a file."""


@dataclass(frozen=True)
class Credentials:
    """`user` is None where a password alone is given, or nothing at all: the node takes that for its user default."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For people."""
        return f"the password in {PASSWORD}" if self.user is None else f"the user {self.user}"


def read_credentials() -> tuple[Credentials, ...]:
    """What to try, one after the other. While the passwords change, some nodes know the first and some the second.

    Raises OSError or ValueError when the file that is named cannot be used.
    """
    file = os.environ.get(FILE)
    if not file:
        return (Credentials(password=os.environ.get(PASSWORD) or None),)
    given = json.loads(Path(file).read_text())
    return tuple(Credentials(one["user"], one["password"]) for one in given)
