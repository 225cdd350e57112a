"""`python -m preview`: a stack's derived plan and resources, without asking anybody.

It is long because every option stands here with its help, and every way of showing with its exit status.
"""

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from preview.errors import EvaluationError
from preview.thresholds import FAILED, FORMS, failures, threshold

if TYPE_CHECKING:
    from components.advice.advice import Advice
    from preview.document import Section
    from preview.evaluate import Evaluation
    from preview.writer import Style

EXIT_STATUS = (
    "Exit status: 0; 1 when the stack is refused, with every reason, or what --diff shows is no update of the cache; "
    "2 for a wrong call; "
    f"{FAILED} when the plan does not keep to a --fail-on; 130 for Ctrl-C."
)


MEASURED = ("measured_memory", "measured_hit_rate", "measured_from", "compression")


def main(arguments: Sequence[str]) -> int:
    """Exit status: as `EXIT_STATUS` says."""
    parser = argparse.ArgumentParser(
        prog="python -m preview",
        description="Shows what a stack's config comes to: pods, nodes, capacity, cost, warnings and resources. "
        "Nothing is asked of AWS or Kubernetes.",
        epilog=EXIT_STATUS,
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
    forms.add_argument("--markdown", action="store_true", help="as GitHub's Markdown, for a pull request's comment")
    parser.add_argument(
        "--diff",
        metavar="REF",
        help="what the working tree (with --set) changes beside a commit, branch or tag: capacity, money, risk, and "
        "what the update will do; the program of that revision computes its own plan",
    )
    parser.add_argument(
        "--fail-on",
        metavar="CONDITION",
        type=threshold,
        action="append",
        default=[],
        help=f"exit with status {FAILED} when the plan costs more, carries less or has the warning: {FORMS}; "
        "repeatable",
    )
    parser.add_argument("--no-color", action="store_true", help="no colour, as with NO_COLOR=1 or in a pipe")
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
        "--measured-from",
        metavar="URL",
        help="reads both from a Prometheus that has the rendered rules: most memory and average hit rate within a day",
    )
    parser.add_argument(
        "--compression",
        metavar="RATIO",
        type=float,
        help="size of an image once compressed (0.3): shows what it changes",
    )


def _wrong_together(arguments: argparse.Namespace) -> str | None:
    """What cannot be asked for at once, in addition to the forms that exclude each other."""
    other = next((form for form in ("json", "compare", "html") if getattr(arguments, form)), None)
    if arguments.diff is not None and other is not None:
        return f"argument --diff: not allowed with argument --{other}; it is shown as text, or with --markdown"
    measured = next((name for name in MEASURED if getattr(arguments, name) is not None), None)
    form = (
        "diff"
        if arguments.diff is not None
        else next((form for form in ("json", "compare", "html", "markdown") if getattr(arguments, form)), None)
    )
    figure = next((name for name in MEASURED[:2] if getattr(arguments, name) is not None), None)
    if arguments.measured_from is not None and figure is not None:
        return (
            f"argument --measured-from: not allowed with argument --{figure.replace('_', '-')}, which it reads itself"
        )
    if measured is not None and form is not None:
        return f"argument --{measured.replace('_', '-')}: not allowed with argument --{form}; it is shown as text alone"
    if arguments.fail_on and arguments.compare:
        return "argument --fail-on: not allowed with argument --compare, which shows several plans"
    return None


def overrides(pairs: list[str]) -> dict[str, str]:
    """KEY=VALUE texts as a map. Raises EvaluationError naming those that are none."""
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise EvaluationError(f"--set takes KEY=VALUE, such as podMemory=128GB; given {', '.join(wrong)}")
    return dict(pair.split("=", 1) for pair in pairs)


def run(arguments: argparse.Namespace) -> int:
    """Shows the stack, and says on standard error why it is refused or does not keep to what is asked of it."""
    # One evaluation and the process ends: looking for garbage would take a twelfth of the time.
    gc.disable()
    wrong = _wrong_together(arguments)
    if wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return 2
    try:
        return _show(arguments)
    except EvaluationError as refusal:
        sys.stderr.write(f"error: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough. Closing now keeps Python from complaining at its end.
        sys.stderr.close()
    return 0


def _show(arguments: argparse.Namespace) -> int:
    # Whoever asks for --help alone does not wait for Pulumi.
    from preview.evaluate import evaluate
    from preview.text import plan_sections
    from preview.writer import style_of

    changes = overrides(arguments.set)
    style = style_of(sys.stdout, plain=arguments.no_color)
    if arguments.compare:
        _print_comparison(arguments.stack, changes, arguments.compare.split(","), style)
        return 0
    if arguments.diff is not None:
        return _print_diff(arguments, changes, style)
    evaluation = evaluate(arguments.stack, changes)
    broken = failures(arguments.fail_on, evaluation.plan)
    if arguments.json:
        json.dump(as_json(evaluation), sys.stdout, indent=2)
        print()
    elif arguments.html:
        _write_page(evaluation, arguments.html)
    elif arguments.markdown:
        _print_sections(
            [*_failed(broken), *plan_sections(evaluation.plan, evaluation.settings, evaluation.stack)], arguments, style
        )
    else:
        _print_text(evaluation, arguments, style)
    return _judged(broken)


def _print_diff(arguments: argparse.Namespace, changes: dict[str, str], style: "Style") -> int:
    """What an edit changes. A refusal is shown like a comparison, so that the comment on a pull request says it."""
    from preview.diff.edit import Edit
    from preview.diff.revision import access, revision
    from preview.diff.sections import refused, sections
    from preview.diff.update import Update
    from preview.evaluate import PROJECT_DIR, evaluate, masked
    from preview.resources import Resource
    from preview.stack_file import encrypted

    before = revision(arguments.diff, arguments.stack)
    try:
        # What AWS has of the revision: node groups only grow, so the sizes of the next plan depend on it.
        after = evaluate(arguments.stack, changes, node_groups=before.node_groups)
    except EvaluationError as refusal:
        if arguments.markdown:
            _print_sections(refused(arguments.stack, before, str(refusal)), arguments, style)
        raise
    broken = failures(arguments.fail_on, after.plan)
    # As its machine form: so both sides have been through JSON, in which secrets are masked.
    resources = [Resource.from_json(json.loads(json.dumps(masked(item)))) for item in after.resources]
    own = set(map(str, after.plan.warnings))
    said = [text for text in after.warnings if text not in own]
    now = encrypted(PROJECT_DIR / f"Pulumi.{arguments.stack}.yaml")
    said += [
        f"{key}: another encrypted value. It cannot be read offline, so what it changes is in no step above."
        for key in sorted(now.keys() | before.encrypted.keys())
        if before.plan and now.get(key) != before.encrypted.get(key)
    ]
    users = None if before.access is None else (before.access, access(arguments.stack, changes))
    update = Update(Edit.between(before.resources, resources, users), before.plan, after.plan)
    _print_sections([*_failed(broken), *sections(arguments.stack, before, update, said)], arguments, style)
    status = _judged(broken)
    if update.is_refused:
        sys.stderr.write(f"error: no update of this cache: {update.instead}\n")
        return 1
    return status


def _print_sections(sections: "Sequence[Section]", arguments: argparse.Namespace, style: "Style") -> None:
    from preview.markdown import render_markdown
    from preview.text import render_sections

    print(render_markdown(sections) if arguments.markdown else render_sections(sections, style), end="")


def _failed(reasons: Sequence[str]) -> "list[Section]":
    """The section that stands before all others where the plan does not keep to what is asked of it."""
    from preview.document import Facts, Section

    if not reasons:
        return []
    rows = tuple(("", reason) for reason in reasons)
    return [Section("Not kept", "--fail-on", (Facts(rows),), is_alert=True)]


def _judged(reasons: Sequence[str]) -> int:
    for reason in reasons:
        sys.stderr.write(f"--fail-on: {reason}\n")
    return FAILED if reasons else 0


def _print_comparison(stack: str, changes: dict[str, str], sizes: list[str], style: "Style") -> None:
    from preview.comparison import comparison
    from preview.evaluate import decide_stack
    from preview.text import render_sections

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
        reasons = set(map(str, plans.values()))
        named = ("\n".join(f"{size}: {line}" for line in str(why).splitlines()) for size, why in plans.items())
        raise EvaluationError(reasons.pop() if len(reasons) == 1 else "\n".join(named))
    print(render_sections(comparison(plans), style), end="")


def _write_page(evaluation: "Evaluation", path: Path) -> None:
    from preview.page import render_page

    page = render_page(evaluation.plan, evaluation.settings, stack=evaluation.stack)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"--html {path}: {error.strerror}; name a file in a folder that is there") from None
    print(f"wrote {path}")


def _print_text(evaluation: "Evaluation", arguments: argparse.Namespace, style: "Style") -> None:
    from preview.text import render_plan, render_resources, render_sections

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
    if arguments.measured_from is not None:
        from preview.prometheus import measured_from

        measured = measured_from(arguments.measured_from, evaluation.plan.pool)
        try:
            sections.append(right_sizing(right_size(evaluation.settings, measured), measured))
        except ValueError as error:
            raise EvaluationError(f"--measured-from {arguments.measured_from}: {error}") from None
    elif used is not None or hit_rate is not None:
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
        "outputs": evaluation.masked_outputs,
        "warnings": list(evaluation.warnings),
        "resources": [masked(resource) for resource in evaluation.resources],
    }
