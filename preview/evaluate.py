"""Evaluates a stack offline, as the CLI would before it asks any provider: config, program, resources."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.advice.advice import Advice
from components.config.load import NAMESPACE, ConfigErrors, takes_text
from components.config.plain_secrets import plain_secrets
from components.config.settings import Settings
from components.decision import Decision, decide
from components.plan.refusal import PlanRefused
from preview.engine import record
from preview.errors import EvaluationError
from preview.resources import Resource
from preview.stack_file import foreign, read_stack_config, read_value, read_yaml

_REGION = "aws:region"
PROJECT_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Evaluation:
    """What a stack comes to. `outputs` and `resources` hold secrets in clear; `masked` does not."""

    stack: str
    settings: Settings
    plan: Advice
    outputs: dict[str, Any]
    warnings: tuple[str, ...]
    resources: tuple[Resource, ...]
    secret_outputs: frozenset[str] = frozenset()

    @property
    def masked_outputs(self) -> dict[str, Any]:
        """The outputs as `pulumi stack output` prints them."""
        return {name: _mask(value) if name in self.secret_outputs else value for name, value in self.outputs.items()}


def evaluate(
    stack: str,
    overrides: Mapping[str, str],
    directory: Path = PROJECT_DIR,
    node_groups: Mapping[str, int] | None = None,
) -> Evaluation:
    """Runs the program with the stack's config and `overrides` (`podMemory` or `workload.hitRate` -> text).

    `node_groups` is what AWS has already, name -> desired size; nothing if absent.

    Raises EvaluationError with every fault of the config at once.
    """
    config = stack_config(stack, overrides, directory)
    try:
        recording = record(directory / "__main__.py", NAMESPACE, stack, config, node_groups)
    except pulumi.RunError as refusal:
        raise EvaluationError(str(refusal)) from refusal
    decision = decide(own_config(config), config.get(_REGION))
    return Evaluation(
        stack=stack,
        settings=decision.settings,
        plan=decision.advice,
        outputs=recording.outputs,
        warnings=tuple(recording.warnings),
        resources=tuple(recording.resources),
        secret_outputs=recording.secret_outputs,
    )


def own_config(config: Mapping[str, str]) -> dict[str, str]:
    """The program's own part of a stack's config, keyed without namespace."""
    prefix = f"{NAMESPACE}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}


def decide_stack(stack: str, overrides: Mapping[str, str], directory: Path = PROJECT_DIR) -> Decision:
    """Settings and plan of a stack alone, without its resources. Raises EvaluationError."""
    try:
        config = stack_config(stack, overrides, directory)
        return decide(own_config(config), config.get(_REGION))
    except (ConfigErrors, PlanRefused) as refusal:
        raise EvaluationError("\n".join(refusal.messages)) from None


def stack_config(stack: str, overrides: Mapping[str, str], directory: Path = PROJECT_DIR) -> dict[str, str]:
    """The config the CLI would hand to the program: the stack file over the project's defaults, as text.

    Encrypted values cannot be read without the stack's key; each is replaced by a placeholder.
    """
    project = read_yaml(directory / "Pulumi.yaml")
    stack_file = directory / f"Pulumi.{stack}.yaml"
    if not stack_file.exists():
        there = sorted(path.name.split(".")[1] for path in directory.glob("Pulumi.*.yaml"))
        raise EvaluationError(f"stack {stack}: there is no Pulumi.{stack}.yaml; the stacks here are {', '.join(there)}")
    values: dict[str, Any] = {
        f"{NAMESPACE}:{key}": declared["default"]
        for key, declared in project["config"].items()
        if "default" in declared
    }
    written = read_stack_config(stack_file)
    if faults := plain_secrets({str(key).removeprefix(f"{NAMESPACE}:"): value for key, value in written.items()}):
        raise EvaluationError("\n".join(faults))
    values |= written
    full = [path if ":" in path else f"{NAMESPACE}:{path}" for path in overrides]
    if unread := [f"--set {fault}" for key in full for fault in foreign(key)]:
        raise EvaluationError("\n".join(unread))
    for path, text in overrides.items():
        _override(values, path, text)
    return {str(key): _text(_decrypted(value)) for key, value in values.items()}


def _override(values: dict[str, Any], path: str, text: str) -> None:
    """Sets one value, as `pulumi config set` (and, for a dotted path, `--path`) would: what a key takes as a text stays
    the text it is, whatever YAML would make of it. Beyond that a list and a map may be given whole."""
    key, *rest = path.split(".")
    full = key if ":" in key else f"{NAMESPACE}:{key}"
    is_text = not text or takes_text((full.removeprefix(f"{NAMESPACE}:"), *rest))
    if not rest:
        values[full] = _parsed(path, text) if text[:1] in ("{", "[") and not is_text else text
        return
    holder = values.get(full)
    values[full] = holder = deepcopy(holder) if isinstance(holder, dict) else {}
    for step in rest[:-1]:
        inner = holder.get(step)
        holder[step] = holder = inner if isinstance(inner, dict) else {}
    holder[rest[-1]] = text if is_text else _parsed(path, text)


def _parsed(path: str, text: str) -> Any:
    return read_value(text, f"--set {path}")


def _decrypted(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return "encrypted-value-not-readable-offline"
        return {key: _decrypted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decrypted(item) for item in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # YAML knows dates, which no key takes: as text they are refused with their key.
    return json.dumps(value, default=str)


def masked(resource: Resource) -> dict[str, Any]:
    """A resource as `plan --json` prints it: every leaf of a secret input is `[secret]`."""
    inputs = {key: _mask(value) if key in resource.secrets else value for key, value in resource.inputs.items()}
    shown = resource.to_json() | {"inputs": inputs}
    return shown | ({"options": dict(resource.options)} if resource.options else {})


def _mask(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item) for item in value]
    return "[secret]"
