"""The form of a warning."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """One thing to know before `pulumi up`. `code` is stable; the texts are sentences for people."""

    code: str
    what: str
    change: str

    def __str__(self) -> str:
        return f"{self.what} {self.change} [{self.code}]"
