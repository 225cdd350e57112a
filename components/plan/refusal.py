"""What is raised when no plan meets every rule."""


class Refused(Exception):
    """`messages` has one line for each reason, with what to change. Each begins with the key that is at fault."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


class PlanRefused(Refused):
    """The same, with the config keys as the stack file names them."""
