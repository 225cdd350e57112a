"""Types of values that more than one key of a config can have, each with its rule and what an editor is told of it."""

import json
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
    WithJsonSchema,
)

from components.config.units import SIZE_PATTERN, parse_size
from components.config.zones import check_region, region_of

SUBNET_PREFIX = "subnet-"
SUBNET_OF_AN_OUTPUT = f"{SUBNET_PREFIX}given-as-an-output"
"""Stands under every zone whose subnet another resource makes. It is the same for all, since node groups are named by
it: with another text EKS would replace them."""

NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
"""Of an object of Kubernetes, or of a DNS domain."""

PASSWORD_BYTES_MAX = 4096
"""Redis cuts off a client that sends more than 16,384 bytes at once before it is let in."""

REASON_CHARACTERS_MIN, REASON_CHARACTERS_MAX = 10, 500


def _size(value: Any) -> int:
    return parse_size(value if isinstance(value, str) else json.dumps(value, default=str))


def _on_one_line(reason: Any) -> Any:
    """A reason as a sentence of the plan ends with it: YAML may spread it over lines, and its author may end it."""
    if not isinstance(reason, str):
        return reason
    line = " ".join(reason.split()).rstrip(". ")
    if not line.isprintable():
        raise ValueError("has characters that cannot be shown, such as those that color a terminal; write words alone")
    if len(line) < REASON_CHARACTERS_MIN:
        raise ValueError(f"must have at least {REASON_CHARACTERS_MIN} characters, without the blanks around them")
    return line


def can_be_carried(password: SecretStr) -> SecretStr:
    """Applications get the password in an environment variable, and the kernel ends such a value at a NUL byte.

    A newline at the end is nearly always `echo`'s: clients that are given the password without it would be refused.
    """
    text = password.get_secret_value()
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("a password is text; it has half of a surrogate pair, which no client can send") from error
    if size_bytes > PASSWORD_BYTES_MAX:
        raise ValueError(f"a password has at most {PASSWORD_BYTES_MAX} bytes, this one has {size_bytes}")
    if "\0" in text:
        raise ValueError(
            "a password cannot contain a NUL byte; an environment variable cannot hold one; choose another"
        )
    if text.endswith(("\n", "\r")):
        raise ValueError("a password cannot end in a newline; set it with printf %s instead of echo")
    return password


def every_zone_has_a_subnet(subnets: Any) -> Any:
    if not isinstance(subnets, dict):
        return subnets
    wrong = []
    for zone in subnets:
        if not isinstance(zone, str):
            wrong.append("every zone must be a text, such as us-east-1a")
            continue
        try:
            check_region(region_of(zone), zone)
        except ValueError as error:
            wrong.append(str(error))
    without = [zone for zone, subnet in subnets.items() if not str(subnet).startswith(SUBNET_PREFIX)]
    if without:
        named = ", ".join(str(zone) or "an empty name" for zone in without)
        wrong.append(f"every zone needs the id of its subnet, such as {SUBNET_PREFIX}0a1b2c; none for {named}")
    zones_of: dict[str, list[str]] = {}
    for zone, subnet in subnets.items():
        if zone not in without and subnet != SUBNET_OF_AN_OUTPUT:
            zones_of.setdefault(str(subnet), []).append(str(zone))
    for subnet, (first, *others) in zones_of.items():
        if others:
            its = "its" if len(others) == 1 else "each its"
            wrong.append(
                f"{subnet[:100]} stands under {first} and {' and '.join(others)}; a subnet lies in one zone; give "
                f"{' and '.join(others)} {its} own"
            )
    if wrong:
        raise ValueError("; ".join(wrong))
    return subnets


NAMESPACE_PATTERN = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""A DNS label: what Kubernetes takes for the name of a namespace."""

_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
SERVICE_AND_PORT_PATTERN = rf"^{NAMESPACE_PATTERN}\.{NAMESPACE_PATTERN}:{_PORT}$"
"""A Service of the cluster, as any namespace can name it. Its name and its namespace's are DNS labels."""

POD_SELECTION_EXAMPLE = "web/app=shop,tier=front"

_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"

_LABEL = rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}={_LABEL_NAME}"

_POD_SELECTION_PATTERN = rf"^{NAMESPACE_PATTERN}/{_LABEL}(,{_LABEL})*$"


def _a_namespace(name: str) -> str:
    if not re.fullmatch(NAMESPACE_PATTERN, name):
        raise ValueError("cannot be the name of a namespace; one has up to 63 of a-z, 0-9 and -, such as images")
    return name


def _a_pod_selection(text: str) -> str:
    if not re.fullmatch(_POD_SELECTION_PATTERN, text):
        raise ValueError(
            f"does not select pods; write a namespace, a slash and labels, such as {POD_SELECTION_EXAMPLE}"
        )
    return text


def _a_secret(name: str) -> str:
    if len(name) > 253 or not re.fullmatch(NAME_PATTERN, name):
        raise ValueError("cannot be the name of a Secret; one has a-z, 0-9, - and dots, such as registry-login")
    return name


def tags_of_the_stack(tags: dict[str, str]) -> dict[str, str]:
    """AWS makes nothing with a tag that it keeps for itself."""
    reserved = [f"{name} = {text}" for name, text in tags.items() if _is_of_aws(name) or _is_of_aws(text)]
    if reserved:
        shown = ", ".join(json.dumps(tag[:100], ensure_ascii=False) for tag in reserved)
        raise ValueError(f"{shown}: AWS keeps names and values that begin with aws: for its own tags; write another")
    return tags


def _is_of_aws(text: str) -> bool:
    return text.lower().startswith("aws:")


Reason = Annotated[str | None, BeforeValidator(_on_one_line)]
"""Why a stack does without what keeps it safe: words for a reviewer. Blanks alone are none."""

SecretNames = Annotated[
    tuple[Annotated[str, AfterValidator(_a_secret)], ...],
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": NAME_PATTERN}}),
]
"""Names of Secrets."""

Namespaces = Annotated[
    tuple[Annotated[str, AfterValidator(_a_namespace)], ...],
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": f"^{NAMESPACE_PATTERN}$"}}),
]
"""Names of namespaces."""

PodSelections = Annotated[
    tuple[Annotated[str, AfterValidator(_a_pod_selection)], ...],
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": _POD_SELECTION_PATTERN}}),
]
"""Pods of a namespace by their labels, each written as `web/app=shop,tier=front`."""

SizeBytes = Annotated[
    int, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": f"^{SIZE_PATTERN}$"}, mode="validation")
]
"""Bytes of a size written as `64GB`."""
