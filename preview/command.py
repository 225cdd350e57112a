"""`python -m preview`: a stack's derived plan and resources, without asking anybody."""

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from preview.errors import EvaluationError

if TYPE_CHECKING:
    from components.advice.advice import Advice
    from preview.document import Section
    from preview.evaluate import Evaluation


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, 1 when the stack is refused, 2 for a wrong call, 130 for ^C."""
    parser = argparse.ArgumentParser(
        prog="python -m preview",
        description="Shows what a stack's config comes to: pods, nodes, capacity, cost, warnings and resources. "
        "Nothing is asked of AWS or Kubernetes.",
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
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
    """Shows the stack; the exit status is 1 when it is refused, with every reason on standard error."""
    # One evaluation and the process ends: looking for garbage would take a twelfth of the time.
    gc.disable()
    try:
        _show(arguments)
    except EvaluationError as refusal:
        sys.stderr.write(f"error: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough. Closing now keeps Python from complaining at its end.
        sys.stderr.close()
    return 0


def _show(arguments: argparse.Namespace) -> None:
    # Whoever asks for --help alone does not wait for Pulumi.
    from preview.evaluate import evaluate

    changes = overrides(arguments.set)
    if arguments.compare:
        _print_comparison(arguments.stack, changes, arguments.compare.split(","))
        return
    evaluation = evaluate(arguments.stack, changes)
    if arguments.json:
        json.dump(as_json(evaluation), sys.stdout, indent=2)
        print()
    elif arguments.html:
        _write_page(evaluation, arguments.html)
    else:
        _print_text(evaluation, arguments)


def _print_comparison(stack: str, changes: dict[str, str], sizes: list[str]) -> None:
    from preview.comparison import comparison
    from preview.evaluate import decide_stack
    from preview.text import render_sections
    from preview.writer import style_of

    if len({size.strip() for size in sizes}) < 2:
        raise EvaluationError(f"--compare takes two pod sizes or more, such as 64GB,128GB; given {','.join(sizes)}")
    plans: dict[str, Advice | str] = {}
    for size in map(str.strip, sizes):
        try:
            plans[size] = decide_stack(stack, changes | {"podMemory": size}).advice
        except EvaluationError as refusal:
            plans[size] = str(refusal)
    if all(isinstance(plan, str) for plan in plans.values()):
        # A fault that every size has is told once.
        raise EvaluationError("\n".join(dict.fromkeys("\n".join(map(str, plans.values())).splitlines())))
    print(render_sections(comparison(plans), style_of(sys.stdout)), end="")


def _write_page(evaluation: "Evaluation", path: Path) -> None:
    from preview.page import render_page

    page = render_page(evaluation.plan, evaluation.settings, stack=evaluation.stack)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"--html {path}: {error.strerror}; name a file in a folder that is there") from None
    print(f"wrote {path}")


def _print_text(evaluation: "Evaluation", arguments: argparse.Namespace) -> None:
    from preview.text import render_plan, render_resources, render_sections
    from preview.writer import style_of

    style = style_of(sys.stdout)
    measured = _measured(evaluation, arguments)
    parts = [
        render_plan(evaluation.plan, evaluation.settings, stack=evaluation.stack, style=style),
        *([render_sections(measured, style)] if measured else []),
        render_resources(evaluation.resources, style),
    ]
    print("\n".join(parts), end="")


def _measured(evaluation: "Evaluation", arguments: argparse.Namespace) -> list["Section"]:
    """The sections that the measured figures ask for. Raises EvaluationError for a figure that is none."""
    from components.advice.compression import compressed
    from components.advice.right_sizing import Measured, right_size
    from components.config.units import parse_size
    from preview.measured import compression, right_sizing

    used, hit_rate, ratio = arguments.measured_memory, arguments.measured_hit_rate, arguments.compression
    sections = []
    if used is not None or hit_rate is not None:
        try:
            measured = Measured(memory_bytes=None if used is None else parse_size(used), hit_rate=hit_rate)
            sections.append(right_sizing(right_size(evaluation.settings, measured)))
        except ValueError as error:
            option = f"--measured-memory {used}" if used is not None else f"--measured-hit-rate {hit_rate:g}"
            raise EvaluationError(f"{option}: {error}") from None
    if ratio is not None:
        try:
            sections.append(compression(compressed(evaluation.settings, ratio)))
        except ValueError as error:
            raise EvaluationError(f"--compression {ratio:g}: {error}") from None
    return sections


def as_json(evaluation: "Evaluation") -> dict[str, object]:
    """The machine form: `plan`, `outputs`, `warnings`, `resources`."""
    from preview.evaluate import masked

    return {
        "plan": evaluation.plan.to_json(),
        "outputs": evaluation.outputs,
        "warnings": list(evaluation.warnings),
        "resources": [masked(resource) for resource in evaluation.resources],
    }
