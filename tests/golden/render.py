"""Writes the golden files, and the plan and fault table of the README: `python -m tests.golden.render`."""

import base64
import re
from pathlib import Path
from typing import Any

import yaml

from preview.evaluate import Evaluation, evaluate, masked
from preview.text import render_summary

STACKS = {"prod-64gb": "64GB", "prod-128gb": "128GB"}
FOLDER = Path(__file__).parent
_FAULT_TABLE = r"\| fault \|.*\n(?:\|.*\n)*"


def golden(evaluation: Evaluation) -> str:
    """All resources of a stack by type and name; files that are reviewed elsewhere are left out."""
    shown = [_resource(masked(resource)) for resource in evaluation.resources]
    shown.sort(key=lambda resource: (resource["type"], resource["name"]))
    text = yaml.dump(shown, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)
    # Autonames follow the content, which stands here anyway.
    return re.sub(r"-[0-9a-f]{8}\b", "-<autoname>", text)


class _Readable(yaml.SafeDumper):
    """Texts of several lines as they are."""


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    inputs = dict(resource["inputs"])
    for key in ("data", "binaryData"):
        if key in inputs:
            inputs[key] = {name: _file(name, text) for name, text in inputs[key].items()}
    if "userData" in inputs:
        inputs["userData"] = base64.b64decode(inputs["userData"]).decode()
    options = {
        key: value for key, value in resource.get("options", {}).items() if key not in ("aliases", "beforeDelete")
    }
    return {
        "type": resource["type"],
        "name": resource["name"],
        "parent": _name(resource["parent"] or ""),
        "dependsOn": _folded(sorted(_name(urn) for urn in resource["dependsOn"])),
        **({"options": options} if options else {}),
        "inputs": _sorted(inputs),
    }


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _folded(names: list[str]) -> list[str]:
    """Numbered names as one entry with their count: the claims of 32 pods say nothing more than those of one."""
    families: dict[str, int] = {}
    for name in names:
        family = re.sub(r"-\d+$", "-*", name)
        families[family] = families.get(family, 0) + 1
    return [f"{family} ({count})" if family.endswith("*") else family for family, count in families.items()]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _file(name: str, text: str) -> str:
    return "(a file of this repository, or of a pinned package)" if name.endswith((".sh", ".awk", ".zip")) else text


def decision(evaluation: Evaluation) -> str:
    """What `make plan` begins with, as the README shows it."""
    return render_summary(evaluation.plan, evaluation.settings, stack=evaluation.stack).rstrip()


def main() -> None:
    for name, pod_memory in STACKS.items():
        (FOLDER / f"{name}.yaml").write_text(golden(evaluate("prod", {"podMemory": pod_memory})))
    root = FOLDER.parent.parent
    text = (root / "README.md").read_text()
    shown = decision(evaluate("prod", {}))
    text = re.sub(r"(?<=```\n)PLAN: .*?(?=\n```)", lambda _: shown, text, flags=re.DOTALL)
    measured = re.search(_FAULT_TABLE, (root / "docs/faults.md").read_text())
    if measured is None:
        raise ValueError("docs/faults.md has no table; `make faults` writes it")
    (root / "README.md").write_text(re.sub(_FAULT_TABLE, lambda _: measured[0], text))


if __name__ == "__main__":
    main()
