"""Which servers the cache can run on, and which of them an image holds.

An image is judged before anything is rolled: a server that is too old lacks commands that the pods use, and one with a
known fault lets a client run code of its own. Sources of the figures are in docs/engines.md, "Sources", which is also
where people read this table; a test holds the two equal.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Engine(StrEnum):
    """A server that speaks Redis's protocol and its cluster bus."""

    REDIS = "redis"
    VALKEY = "valkey"

    @property
    def proper_name(self) -> str:
        """As people write it."""
        return self.value.capitalize()

    @property
    def server(self) -> str:
        """The server's program. Valkey's official images have it under the name redis-server too."""
        return f"{self.value}-server"


BSD = "BSD-3-Clause"
SOURCE_AVAILABLE = "RSALv2 or SSPLv1"
WITH_AGPL = "RSALv2, SSPLv1 or AGPLv3"

MIGRATESLOTS = "CLUSTER MIGRATESLOTS"
MIGRATION_IMPORT = "CLUSTER MIGRATION IMPORT"


@dataclass(frozen=True)
class Line:
    """The releases of an engine that share their first two numbers.

    `least_patch` is the first without a fault that is known to let a client run code. `data_format` is the version of
    what a master sends to a replica, and of a key that travels (RDB); None where it is not known. `native_move` is the
    command by which the servers move whole slots themselves; None where they have none.
    """

    engine: Engine
    major: int
    minor: int
    least_patch: int
    license: str
    data_format: int | None
    native_move: str | None = None

    @property
    def version(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def takes_zone(self) -> bool:
        """Whether a node can say its zone to clients."""
        return self.engine is Engine.VALKEY

    @property
    def slot_move(self) -> str:
        """How slots move between its servers, for people."""
        if self.native_move is not None:
            return f"by the servers themselves ({self.native_move})"
        return "by the Job, key by key" if self.engine is Engine.VALKEY else "by the Job, each slot in one moment"

    @property
    def title(self) -> str:
        """Redis 7.4, for people."""
        return f"{self.engine.proper_name} {self.version}"

    @property
    def least(self) -> str:
        """The oldest release that is accepted."""
        return f"{self.version}.{self.least_patch}"


LINES = (
    Line(Engine.REDIS, 7, 2, 16, BSD, 11),
    Line(Engine.REDIS, 7, 4, 11, SOURCE_AVAILABLE, 12),
    Line(Engine.REDIS, 8, 2, 9, WITH_AGPL, 12),
    Line(Engine.REDIS, 8, 4, 6, WITH_AGPL, None, MIGRATION_IMPORT),
    Line(Engine.REDIS, 8, 6, 6, WITH_AGPL, 13, MIGRATION_IMPORT),
    Line(Engine.REDIS, 8, 8, 2, WITH_AGPL, None, MIGRATION_IMPORT),
    Line(Engine.REDIS, 8, 10, 1, WITH_AGPL, None, MIGRATION_IMPORT),
    Line(Engine.VALKEY, 8, 0, 10, BSD, 11),
    Line(Engine.VALKEY, 8, 1, 9, BSD, 11),
    Line(Engine.VALKEY, 9, 0, 5, BSD, 80, MIGRATESLOTS),
    Line(Engine.VALKEY, 9, 1, 1, BSD, 80, MIGRATESLOTS),
)
"""Every line that is accepted, oldest first."""

COMMON_FORMAT = 11
"""The data format of Redis 7.2, where Valkey began. A Valkey sends it to every replica that knows no later one of its
own, and reads none of Redis that is later."""

FIRST_WITH_SECRET = 8
"""From this Redis on nodes tell each other a secret (docs/engines.md, "From one version to another")."""

OTHER_PUBLISHERS = ("bitnami", "bitnamilegacy", "bitnamisecure", "chainguard", "opstree", "ubuntu")
"""They publish images under the same names whose users, paths or shells are not the official ones."""

_TAG = re.compile(
    r"(?P<major>\d{1,4})(?:\.(?P<minor>\d{1,4})(?:\.(?P<patch>\d{1,4}))?)?(?:-(?P<variant>[\w.-]+))?", re.ASCII
)
_BEFORE_RELEASE = re.compile(r"(rc|m|alpha|beta)\d*(-|$)")
_TOLD = re.compile(r"(?P<engine>redis|valkey) (?P<version>\d{1,4}\.\d{1,4}(\.\d{1,4})?)", re.ASCII)
EXAMPLE = "valkey 8.1"
"""How `images.redisVersion` is written."""


@dataclass(frozen=True)
class Server:
    """What an image holds. `patch` is None where a tag leaves it open: such a tag is the newest of its line."""

    line: Line
    patch: int | None

    @property
    def title(self) -> str:
        """Redis 7.4.11, or Redis 7.4, for people."""
        return self.line.title if self.patch is None else f"{self.line.title}.{self.patch}"


@dataclass(frozen=True)
class _Unsaid:
    """A name that does not say which line an image holds, and why. It may say a part of it."""

    why: str
    engine: Engine | None = None
    major: int | None = None

    @property
    def title(self) -> str:
        """Redis 8, or Redis, for people."""
        return " ".join(
            [self.engine.proper_name if self.engine else "", str(self.major) if self.major is not None else ""]
        ).strip()


def server_of(image: str, told: str = "") -> Server:
    """What an image holds, by its name and tag, or by what `images.redisVersion` says of it (`told`).

    A registry, the folders of a mirror and a digest beside the tag change nothing. ValueError says what is wrong, what
    is allowed and what to do.
    """
    by_setting = _told(told) if told else None
    read = _read(image)
    if isinstance(read, _Unsaid):
        if by_setting is None:
            raise ValueError(
                f"{read.why}; name one as redis:7.4-alpine or valkey/valkey:8.1-alpine, or set images.redisVersion to "
                f'what it holds, such as "{EXAMPLE}"'
            )
        line = by_setting.line
        if read.engine not in (None, line.engine) or read.major not in (None, line.major):
            raise ValueError(f'is {read.title} by its name, and images.redisVersion = "{told:.200}"; correct one')
        return by_setting
    if by_setting is not None:
        if by_setting.line != read.line or (read.patch is not None and by_setting.patch not in (None, read.patch)):
            raise ValueError(
                f'is {read.title} by its tag, and images.redisVersion = "{told:.200}"; remove one of the two'
            )
        return by_setting if read.patch is None else read
    return read


def can_share_bus(one: Line, other: Line) -> bool:
    """Whether servers of two lines can be in one cluster.

    Redis 8 and Valkey gave the same number to two things that nodes tell of themselves: a secret of the cluster, and an
    address for clients. A Valkey tells clients the other's secret for its address, and a Redis does not start with a
    nodes.conf that has it (docs/engines.md).
    """
    if one.engine is other.engine:
        return True
    return all(line.engine is Engine.VALKEY or line.major < FIRST_WITH_SECRET for line in (one, other))


def can_follow(replica: Line, master: Line) -> bool:
    """Whether a replica can copy the data of a master of another line, as while a roll is under way."""
    if not can_share_bus(replica, master):
        return False
    return master.engine is Engine.VALKEY or _reads(replica, master)


def can_take_keys(target: Line, source: Line) -> bool:
    """Whether a target can read the keys of a source of another line, as while a pool takes over from another."""
    if not can_share_bus(target, source):
        return False
    if source.engine is target.engine:
        return _reads(target, source)
    return source.data_format == COMMON_FORMAT


def differences(before: Line, after: Line) -> tuple[str, ...]:
    """What is different once a line runs in the place of another, each as a clause."""
    found = []
    if before.license != after.license:
        found.append(f"the license is {after.license}, and was {before.license}")
    if before.slot_move != after.slot_move:
        found.append(f"slots move {after.slot_move}, and no longer {before.slot_move}")
    if before.takes_zone != after.takes_zone:
        found.append("nodes " + ("say" if after.takes_zone else "no longer say") + " their zone (availability-zone)")
    return tuple(found)


def newest_of_each(line: Line, reads: Callable[[Line, Line], bool]) -> dict[Engine, Line]:
    """Of each engine the newest line that a line can be with, by `can_share_bus`, `can_follow` or `can_take_keys`. It
    can be with all older ones."""
    return {
        engine: [other for other in _lines_of(engine) if reads(line, other)][-1]
        for engine in Engine
        if any(reads(line, other) for other in _lines_of(engine))
    }


def _reads(reader: Line, writer: Line) -> bool:
    if reader.engine is not writer.engine:
        return writer.data_format == COMMON_FORMAT
    is_newer = (reader.major, reader.minor) >= (writer.major, writer.minor)
    return is_newer or (writer.data_format is not None and reader.data_format == writer.data_format)


def accepted() -> str:
    """Every line that is accepted, with its oldest release, as a list for people."""
    return "; ".join(
        f"{engine.proper_name} " + ", ".join(f"{line.version} from {line.least} on" for line in _lines_of(engine))
        for engine in Engine
    )


def _read(image: str) -> Server | _Unsaid:
    """What the name and the tag say, or why they do not say it all. ValueError where what they say is not accepted."""
    path = image.partition("@")[0]
    # A colon before the last slash is that of a registry's port.
    folder, _, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    publisher = folder.rpartition("/")[2]
    if name not in tuple(Engine) or publisher in OTHER_PUBLISHERS:
        return _Unsaid("is not the name of an official image of Redis or Valkey")
    engine = Engine(name)
    found = _TAG.fullmatch(tag)
    if not tag or found is None:
        return _Unsaid(f"does not say by its tag which version of {engine.proper_name} it is", engine)
    if _BEFORE_RELEASE.match(found["variant"] or ""):
        raise ValueError(f"is a version before its release, which a cache in use must not run; accepted: {accepted()}")
    major = int(found["major"])
    if found["minor"] is None and any(line.major == major for line in _lines_of(engine)):
        # What it is today another line may be tomorrow, and a pod that restarts would come back with that.
        why = f"is of any line of {engine.proper_name} {major}, as its tag has no second number"
        return _Unsaid(why, engine, major)
    return _accepted(engine, major, None if found["minor"] is None else int(found["minor"]), found["patch"])


def _told(told: str) -> Server:
    found = _TOLD.fullmatch(told)
    if found is None:
        raise ValueError(f'has images.redisVersion = "{told:.200}", which must be written as "{EXAMPLE}"')
    major, minor, *patch = found["version"].split(".")
    return _accepted(Engine(found["engine"]), int(major), int(minor), patch[0] if patch else None)


def _accepted(engine: Engine, major: int, minor: int | None, patch: str | None) -> Server:
    given = ".".join(str(number) for number in (major, minor, patch) if number is not None)
    for line in _lines_of(engine):
        if (line.major, line.minor) == (major, minor):
            if patch is not None and int(patch) < line.least_patch:
                raise ValueError(
                    f"is {engine.proper_name} {given}, in which faults are known that let clients run code of their "
                    f"own; take {line.least} or later, or the tag {line.version}, which is the newest of its line"
                )
            return Server(line, None if patch is None else int(patch))
    raise ValueError(
        f"is {engine.proper_name} {given}, which is {_why_not(engine, major, minor)}; accepted: {accepted()}"
    )


def _why_not(engine: Engine, major: int, minor: int | None) -> str:
    """Of a version that no line has; `minor` is None only where no line has even the major version."""
    versions = [(line.major, line.minor) for line in _lines_of(engine)]
    version = (major, minor or 0)
    if version < versions[0]:
        return "too old"
    if version > versions[-1]:
        return "newer than any that this program was made for"
    return "a line without the fixes that are needed"


def _lines_of(engine: Engine) -> Iterator[Line]:
    return (line for line in LINES if line.engine is engine)
