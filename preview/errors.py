"""The error a person can act on."""


class EvaluationError(Exception):
    """The stack cannot be evaluated; the text says what to change, a line for each fault."""
