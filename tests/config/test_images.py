"""Images are named as registries name them, and fetched from a mirror where one is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.images import fetched_from, is_pinned
from components.config.load import ConfigErrors, settings_of
from components.config.settings import Settings
from tests.plan.stacks import BY_TAG, PRODUCTION

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
MIRROR = "mirror.example.com:5000/docker-hub"


def with_images(**images: Any) -> Settings:
    return settings_of(kubeContext="kind", **{**PRODUCTION, "images": BY_TAG | images})


@pytest.mark.parametrize(
    "reference",
    [
        "python",
        "python:3.13-alpine",
        f"python@{DIGEST}",
        f"python:3.13-alpine@{DIGEST}",
        "localhost:5000/python:3.13",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/docker-hub/library/python:3.13-alpine",
        "mirror.example.com/a_b/c--d/python:v1.2_3",
    ],
)
def test_a_name_that_registries_know_is_taken_as_it_is(reference: str) -> None:
    assert with_images(python=reference).images.python == reference
    assert is_pinned(reference) == ("@" in reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "Python:3.13",
        "python:",
        "python:3.13 ",
        "python@sha256:abc",
        f"python@{DIGEST[:-1]}",
        f"python@{DIGEST[:-1]}G",
        f"python@{DIGEST.upper()}",
        f"python@{DIGEST}0",
        "python@latest",
        "https://mirror.example.com/python",
        "/python",
        "python\n",
    ],
)
def test_any_other_text_is_refused_with_how_to_write_one(reference: str) -> None:
    with pytest.raises(
        ConfigErrors, match=r"images\.python = .*is not the name of an image; write it as redis:7\.4-al"
    ):
        with_images(python=reference)


def test_a_name_that_no_registry_takes_is_refused_by_its_length() -> None:
    longest = f"{'a' * 255}:{'b' * 128}@{DIGEST}"
    assert with_images(python=longest).images.python == longest
    with pytest.raises(ConfigErrors, match=r"images\.python = .*: has 457 characters, and .* 456 at most"):
        with_images(python=f"a{longest}")


@pytest.mark.parametrize(
    ("reference", "fetched"),
    [
        ("redis:7.4-alpine", f"{MIRROR}/library/redis:7.4-alpine"),
        (f"redis@{DIGEST}", f"{MIRROR}/library/redis@{DIGEST}"),
        ("valkey/valkey:8.1-alpine", f"{MIRROR}/valkey/valkey:8.1-alpine"),
        # These say themselves where they are.
        ("ours.example.com/redis:7.4-alpine", "ours.example.com/redis:7.4-alpine"),
        ("localhost/redis:7.4-alpine", "localhost/redis:7.4-alpine"),
        ("ours:5000/redis:7.4-alpine", "ours:5000/redis:7.4-alpine"),
    ],
)
def test_a_mirror_stands_before_names_without_a_host(reference: str, fetched: str) -> None:
    assert fetched_from(MIRROR, reference) == fetched
    assert fetched_from("", reference) == reference


@given(
    st.from_regex(r"[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,2}", fullmatch=True),
    st.sampled_from(["", ":7.4-alpine", f":7.4-alpine@{DIGEST}"]),
)
def test_what_a_mirror_makes_of_a_name_is_a_name_that_it_leaves_alone(path: str, version: str) -> None:
    found = fetched_from(MIRROR, path + version)
    assert with_images(python=found).images.python == found
    assert fetched_from(MIRROR, found) == found


@pytest.mark.parametrize(
    "registry", ["https://mirror.example.com", "mirror.example.com/", "mirror.example.com/Hub", " "]
)
def test_what_is_no_registry_is_refused(registry: str) -> None:
    with pytest.raises(
        ConfigErrors, match=r"images\.registry = .*must be written like mirror\.example\.com/docker-hub"
    ):
        with_images(registry=registry)


@pytest.mark.parametrize("names", [["Login"], ["a/b"], [""], ["x" * 254]])
def test_what_cannot_be_a_secret_is_refused(names: list[str]) -> None:
    with pytest.raises(ConfigErrors, match="cannot be the name of a Secret"):
        with_images(pullSecrets=names)
