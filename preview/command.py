"""`python -m sandbox plan`: a stack's derived plan and resources, without asking anybody."""

import argparse
import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from preview.errors import EvaluationError

if TYPE_CHECKING:
    from preview.evaluate import Evaluation


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
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="plan, outputs, warnings and resources as one JSON object")
    forms.add_argument(
        "--compare", metavar="SIZE,SIZE", help="what differs between pod sizes, such as 64GB,128GB, one column each"
    )
    forms.add_argument("--html", metavar="FILE", type=Path, help="write one self-contained page with charts")
    parser.add_argument(
        "--measured-memory", metavar="SIZE", help="memory in use as measured (500GB): shows the plan that would do"
    )
    parser.add_argument(
        "--measured-hit-rate",
        metavar="SHARE",
        type=float,
        help="hit rate as measured (0.9): shows the plan that would do",
    )
    parser.add_argument(
        "--compression",
        metavar="RATIO",
        type=float,
        help="size of an image once compressed (0.3): shows what it changes",
    )


def overrides(pairs: list[str]) -> dict[str, str]:
    """KEY=VALUE texts as a map. Raises EvaluationError naming those that are none."""
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise EvaluationError(f"--set takes KEY=VALUE, such as podMemory=128GB; given {', '.join(wrong)}")
    return dict(pair.split("=", 1) for pair in pairs)


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan. Raises EvaluationError with every fault when the config is refused."""
    # One evaluation and the process ends: looking for garbage would take a twelfth of the time.
    gc.disable()
    # Every other command starts without Pulumi.
    from preview.evaluate import evaluate

    changes = overrides(arguments.set)
    if arguments.compare:
        print(_comparison(arguments.stack, changes, arguments.compare.split(",")))
        return 0
    evaluation = evaluate(arguments.stack, changes)
    if arguments.json:
        json.dump(as_json(evaluation), sys.stdout, indent=2)
        print()
    elif arguments.html:
        _write_report(evaluation, arguments.html)
    else:
        print(_text(evaluation, arguments))
    return 0


def _comparison(stack: str, changes: dict[str, str], sizes: list[str]) -> str:
    from preview.comparison import render_compare
    from preview.evaluate import decide_stack

    if len(sizes) < 2:
        raise EvaluationError(f"--compare takes two pod sizes or more, such as 64GB,128GB; given {','.join(sizes)}")
    plans = [decide_stack(stack, changes | {"podMemory": size.strip()}).advice for size in sizes]
    return render_compare(plans, color=sys.stdout.isatty())


def _write_report(evaluation: "Evaluation", path: Path) -> None:
    from preview.report_html import render_html

    try:
        path.write_text(render_html(evaluation.plan, evaluation.settings, stack=evaluation.stack))
    except OSError as error:
        raise EvaluationError(f"--html {path}: {error.strerror}; name a file in a folder that is there") from None
    print(f"wrote {path}")


def _text(evaluation: "Evaluation", arguments: argparse.Namespace) -> str:
    from preview.text import render_resources, render_text

    color = sys.stdout.isatty()
    parts = [render_text(evaluation.plan, evaluation.settings, stack=evaluation.stack, color=color)]
    if arguments.measured_memory is not None or arguments.measured_hit_rate is not None:
        parts.append(_right_size(evaluation, arguments.measured_memory, arguments.measured_hit_rate, color))
    if arguments.compression is not None:
        parts.append(_compression(evaluation, arguments.compression, color))
    return "\n".join([*parts, render_resources(evaluation.resources, color=color)])


def _right_size(evaluation: "Evaluation", memory: str | None, hit_rate: float | None, color: bool) -> str:
    from components.advice.right_sizing import Measured, right_size
    from components.config.units import parse_size
    from preview.text import render_right_size

    try:
        measured = Measured(memory_bytes=None if memory is None else parse_size(memory), hit_rate=hit_rate)
        found = right_size(evaluation.settings, measured)
    except ValueError as error:
        raise EvaluationError(f"--measured-memory {memory}, --measured-hit-rate {hit_rate}: {error}") from None
    return render_right_size(found, color=color)


def _compression(evaluation: "Evaluation", ratio: float, color: bool) -> str:
    from components.advice.compression import compressed
    from preview.text import render_compression

    try:
        return render_compression(compressed(evaluation.settings, ratio), color=color)
    except ValueError as error:
        raise EvaluationError(f"--compression {ratio}: {error}") from None


def as_json(evaluation: "Evaluation") -> dict[str, object]:
    """The machine form: `plan`, `outputs`, `warnings`, `resources`."""
    from preview.evaluate import masked

    return {
        "plan": evaluation.plan.to_json(),
        "outputs": evaluation.outputs,
        "warnings": list(evaluation.warnings),
        "resources": [masked(resource) for resource in evaluation.resources],
    }
