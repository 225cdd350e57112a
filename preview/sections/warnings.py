"""What to know before `pulumi up`."""

from components.advice.advice import Advice
from preview.document import Facts, Section


def warnings(plan: Advice) -> tuple[Section, ...]:
    """One section; none where there is nothing to warn of."""
    if not plan.warnings:
        return ()
    shown = tuple(
        Facts((("warning", warning.code), ("problem", warning.what), ("change", warning.change)))
        for warning in plan.warnings
    )
    return (Section("Warnings", f"{len(shown)}", shown, is_alert=True),)
