"""Secrets that stand in a stack file as plain text, where whoever reads the repository reads them too."""

import json
from collections.abc import Mapping
from typing import Any

from components.config.load import NAMESPACE, fields_of, is_secret, section_of
from components.config.settings import Settings


def plain_secrets(plain: Mapping[str, Any]) -> list[str]:
    """Faults of values that are not encrypted, keyed without namespace. A section is a map or its JSON text; an
    encrypted value in it is `{"secure": …}`."""
    faults = []
    for key, field in fields_of(Settings).items():
        section, given = section_of(field), _map(plain.get(key))
        for inner, inner_field in fields_of(section).items() if section else ():
            value = given.get(inner)
            if is_secret(inner_field) and value is not None and not isinstance(value, dict):
                path = f"{key}.{inner}"
                faults.append(
                    f"{NAMESPACE}:{path} = [secret]: stands in the stack file as plain text; take it out, choose "
                    f"another one, and run `pulumi config set --path {NAMESPACE}:{path} --secret`, which asks for it"
                )
    return faults


def _map(value: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        # What is no map at all is refused with its own message.
        return {}
    return found if isinstance(found, dict) else {}
