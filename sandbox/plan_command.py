"""`python -m sandbox plan`: a stack's derived plan and resources, without asking anybody."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from sandbox.errors import EvaluationError

if TYPE_CHECKING:
    from sandbox.evaluate import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `plan`."""
    parser.add_argument("--stack", default="prod", help="stack whose Pulumi.<stack>.yaml is read (default: prod)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one config value for this evaluation, as `pulumi config set` would (podMemory=128GB, "
        "workload.hitRate=0.9); repeatable",
    )
    parser.add_argument("--json", action="store_true", help="plan, outputs, warnings and resources as one JSON object")


def overrides(pairs: list[str]) -> dict[str, str]:
    """KEY=VALUE texts as a map. Raises EvaluationError naming those that are none."""
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise EvaluationError(f"--set takes KEY=VALUE, such as podMemory=128GB; given {', '.join(wrong)}")
    return dict(pair.split("=", 1) for pair in pairs)


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan; exit status 1 and every fault on stderr when the config is refused."""
    # Every other command starts without Pulumi.
    from sandbox.evaluate import evaluate

    try:
        evaluation = evaluate(arguments.stack, overrides(arguments.set))
    except EvaluationError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    if arguments.json:
        json.dump(as_json(evaluation), sys.stdout, indent=2)
        print()
    else:
        from sandbox.plan_view import render_resources, render_text

        color = sys.stdout.isatty()
        print(render_text(evaluation.plan, evaluation.settings, stack=evaluation.stack, color=color))
        print(render_resources(evaluation.resources, color=color))
    return 0


def as_json(evaluation: "Evaluation") -> dict[str, object]:
    """The machine form: `plan`, `outputs`, `warnings`, `resources`."""
    from sandbox.evaluate import masked

    return {
        "plan": evaluation.plan.to_json(),
        "outputs": evaluation.outputs,
        "warnings": list(evaluation.warnings),
        "resources": [masked(resource) for resource in evaluation.resources],
    }
