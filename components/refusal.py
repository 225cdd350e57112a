"""What the planner raises when nothing holds."""


class Refused(Exception):
    """`messages` has one line for each reason, with what to change."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))
