"""How a container image is named: where it is fetched from, and whether its name says which bytes it is."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?"
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
REGISTRY_PATTERN = rf"^{_HOST}(/{_PART})*$"
"""A host, perhaps with a port, and a path on it."""
_DIGEST = r"@sha256:[0-9a-f]{64}"
IMAGE_PATTERN = rf"^({_HOST}/)?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?({_DIGEST})?$"
"""As the distribution specification has it; of digests only SHA-256, which is what registries answer with."""
IMAGE_CHARACTERS_MAX = 255 + len(":") + 128 + len("@sha256:") + 64
"""Host and path have 255 characters at most together, which is what Docker and containerd take, and a tag has 128."""


def _only_an_image(reference: str) -> str:
    if len(reference) > IMAGE_CHARACTERS_MAX:
        raise ValueError(f"has {len(reference)} characters, and the name of an image {IMAGE_CHARACTERS_MAX} at most")
    if re.fullmatch(IMAGE_PATTERN, reference) is None:
        raise ValueError(
            "is not the name of an image; write it as redis:7.4-alpine, or with its digest as "
            "redis:7.4-alpine@sha256: and 64 characters of 0-9 and a-f"
        )
    return reference


ImageName = Annotated[
    str,
    AfterValidator(_only_an_image),
    WithJsonSchema({"type": "string", "pattern": IMAGE_PATTERN, "maxLength": IMAGE_CHARACTERS_MAX}),
]
"""`redis:7.4-alpine`, `HOST/PATH:TAG`, `PATH:TAG@sha256:…`."""


def is_pinned(reference: str) -> bool:
    """Whether the name has a digest. What a tag names today may be other bytes tomorrow, on some of the nodes."""
    return "@sha256:" in reference


def fetched_from(registry: str, reference: str) -> str:
    """The name under which a mirror of Docker Hub has an image; with no `registry` as it is.

    A name that begins with a host says itself where it is fetched from. Docker Hub's own images, such as `redis`, stand
    below `library` there, and so in every mirror that fetches for itself.
    """
    first, slash, _ = reference.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if not registry or has_host:
        return reference
    return f"{registry}/{reference if slash else f'library/{reference}'}"
