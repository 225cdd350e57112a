"""Which server an image holds: read from its name and tag, or told, or refused with what is allowed."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.engines import (
    LINES,
    OTHER_PUBLISHERS,
    Engine,
    Line,
    can_follow,
    can_take_keys,
    server_of,
)
from components.config.load import ConfigErrors, settings_of
from tests.plan.stacks import BY_TAG, PRODUCTION

DOCUMENT = Path("docs/engines.md").read_text()

OFFICIAL = {Engine.REDIS: "redis", Engine.VALKEY: "valkey/valkey"}
REGISTRIES = [
    "",
    "docker.io/",
    "docker.io/library/",
    "public.ecr.aws/docker/library/",
    "registry.example.com:5000/",
    "111122223333.dkr.ecr.us-east-1.amazonaws.com/docker-hub/",
    "localhost:5000/a/b/c/",
]
VARIANTS = ["", "-alpine", "-alpine3.21", "-bookworm", "-trixie", "-alpine-our.2"]
DIGESTS = ["", "@sha256:" + 64 * "a"]

ACCEPTED = re.compile(r"(.*/)?(redis|valkey):\d+\.\d+.*", re.ASCII | re.DOTALL)
"""What may be accepted; the tests above have its rules."""

lines = st.sampled_from(LINES)
parts = st.tuples(*map(st.sampled_from, (REGISTRIES, VARIANTS, DIGESTS)))


def image(line: Line, version: str, part: tuple[str, str, str]) -> str:
    registry, variant, digest = part
    return f"{registry}{OFFICIAL[line.engine]}:{version}{variant}{digest}"


@given(line=lines, part=parts, more=st.none() | st.integers(0, 500))
def test_registry_variant_and_digest_do_not_change_what_an_image_holds(
    line: Line, part: tuple[str, str, str], more: int | None
) -> None:
    patch = None if more is None else line.least_patch + more
    version = line.version if patch is None else f"{line.version}.{patch}"
    found = server_of(image(line, version, part))
    assert (found.line, found.patch) == (line, patch)
    assert server_of(f"images/{found.line.engine}-by-us", f"{line.engine} {version}") == found


@given(line=lines, part=parts, data=st.data())
def test_a_patch_with_known_faults_is_refused_and_the_first_without_is_named(
    line: Line, part: tuple[str, str, str], data: st.DataObject
) -> None:
    version = f"{line.version}.{data.draw(st.integers(0, line.least_patch - 1))}"
    for reference, told in ((image(line, version, part), ""), ("cache", f"{line.engine} {version}")):
        with pytest.raises(ValueError, match=f"take {re.escape(line.least)} or later"):
            server_of(reference, told)


@given(engine=st.sampled_from(Engine), version=st.tuples(st.integers(0, 30), st.integers(0, 30)), part=parts)
def test_a_line_that_is_not_in_the_table_is_refused_with_the_whole_table(
    engine: Engine, version: tuple[int, int], part: tuple[str, str, str]
) -> None:
    line = Line(engine, *version, 0, "", None)
    if any((known.engine, known.version) == (engine, line.version) for known in LINES):
        return
    with pytest.raises(ValueError, match="accepted: ") as refused:
        server_of(image(line, line.version, part))
    assert line.title in str(refused.value)
    assert all(known.least in str(refused.value) for known in LINES)


@given(st.text(max_size=40))
def test_any_other_text_is_refused_with_what_to_do(text: str) -> None:
    for reference in (text, f"redis:{text}", f"valkey/valkey:9.1.{text}"):
        if ACCEPTED.fullmatch(reference.partition("@")[0]):
            continue
        with pytest.raises(ValueError, match=r"images\.redisVersion|accepted: |or later"):
            server_of(reference)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("redis:6", "Redis 6, which is too old"),
        ("redis:6.2-alpine", "Redis 6.2, which is too old"),
        ("redis:7.0.15", "Redis 7.0.15, which is too old"),
        ("redis:8.0", "a line without the fixes"),
        ("redis:9.0", "newer than any"),
        ("redis:8", "any line of Redis 8"),
        ("redis:12-alpine", "Redis 12, which is newer than any"),
        ("redis:8-rc1", "before its release"),
        ("redis", "does not say by its tag"),
        ("redis:alpine", "does not say by its tag"),
        ("redis:latest", "does not say by its tag"),
        ("redis@sha256:" + 64 * "a", "does not say by its tag"),
        ("redis:8.4-rc1-alpine", "before its release"),
        ("valkey/valkey:7.2", "Valkey 7.2, which is too old"),
        ("eqalpha/keydb:6.3.4", "not the name of an official image"),
        ("redis/redis-stack-server:7.4.0-v3", "not the name of an official image"),
        *((f"{publisher}/redis:7.4.11", "not the name of an official image") for publisher in OTHER_PUBLISHERS),
    ],
)
def test_what_is_refused_says_why(reference: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        server_of(reference)


def refusals(**images: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigErrors) as refused:
        settings_of(
            podMemory="128GB",
            kubeContext="kind",
            **{**PRODUCTION, "images": BY_TAG | images},
        )
    return refused.value.messages


def test_a_stack_with_an_image_that_is_not_accepted_is_refused_by_its_key() -> None:
    (message,) = refusals(redis="redis:6")
    assert message.startswith('redis-image-cache:images.redis = "redis:6" is Redis 6, which is too old')


def test_what_is_told_must_agree_with_the_tag() -> None:
    (message,) = refusals(redis="redis:7.4-alpine", redisVersion="valkey 8.1")
    assert "is Redis 7.4 by its tag, and" in message
    (message,) = refusals(redis="cache:1", redisVersion="8.1")
    assert 'must be written as "valkey 8.1"' in message
    assert server_of("redis:7.4-alpine", "redis 7.4.12").title == "Redis 7.4.12"
    assert server_of("redis:7.4.12", "redis 7.4").title == "Redis 7.4.12"
    with pytest.raises(ValueError, match="remove one of the two"):
        server_of("redis:7.4.11", "redis 7.4.12")


@pytest.mark.parametrize(
    ("reference", "told", "is_held"),
    [
        ("redis:8-alpine", "redis 8.2", True),
        ("valkey/valkey", "valkey 8.1", True),
        ("mirror.example.com/cache:1", "redis 7.4", True),
        ("redis:8-alpine", "redis 7.4", False),
        ("valkey/valkey:8", "redis 7.4", False),
        ("valkey/valkey:latest", "redis 7.4", False),
        ("redis", "valkey 8.1", False),
    ],
)
def test_what_is_told_must_agree_with_what_a_name_says_in_part(reference: str, told: str, is_held: bool) -> None:
    if is_held:
        assert server_of(reference, told).title.lower() == told
        return
    with pytest.raises(ValueError, match=f'by its name, and images.redisVersion = "{told}"; correct one'):
        server_of(reference, told)


@pytest.mark.parametrize("told", ["redis 6.2", "redis 7.4"])
def test_a_version_that_was_never_accepted_is_not_accepted_by_telling_another(told: str) -> None:
    with pytest.raises(ValueError, match="too old"):
        server_of("redis:6", told)


def test_the_default_image_is_accepted() -> None:
    assert settings_of(podMemory="128GB", kubeContext="kind", **PRODUCTION).images.server.title == "Redis 7.4"


def test_the_document_has_the_table() -> None:
    rows = [
        f"| {line.title} | {line.least} | {line.license} | {f'`{line.native_move}`' if line.native_move else 'no'} |"
        for line in LINES
    ]
    assert [row for row in DOCUMENT.splitlines() if re.match(r"\| (Redis|Valkey) \d+\.\d+ \| \d", row)] == rows


def test_the_document_says_what_can_follow_and_read_what() -> None:
    head = "| from | a roll to | a pool of |"
    rows = [row.strip("| ").split(" | ") for row in DOCUMENT[DOCUMENT.index(head) :].splitlines()[2:7]]
    told = {title: (roll, pool) for titles, roll, pool in rows for title in titles.split(", ")}
    for line in LINES:
        later = line.engine is Engine.REDIS and (line.major, line.minor) >= (8, 4)
        for words, reads in zip(
            told["Redis 8.4 and later" if later else line.title], (can_follow, can_take_keys), strict=True
        ):
            for other in LINES:
                assert reads(other, line) == is_meant(words, line, other), (words, line.title, other.title)


def is_meant(words: str, line: Line, other: Line) -> bool:
    """Whether a cell such as `any`, `Redis 7.4 and later` or a list of titles means another line."""
    if words == "any":
        return True
    if words.startswith("any but "):
        return not is_meant(words.removeprefix("any but "), line, other)
    first = line.title if words == "the same line and later" else words.removesuffix(" and later")
    if first == words:
        return other.title in words.split(", ")
    least = next(found for found in LINES if found.title == first)
    return other.engine is least.engine and LINES.index(other) >= LINES.index(least)
