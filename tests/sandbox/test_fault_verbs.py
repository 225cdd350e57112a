"""Every fault of the command line is one that the supervisor carries out, with the arguments it takes."""

from __future__ import annotations

import argparse
import inspect

import pytest

from sandbox.control import fault_command
from sandbox.control.faults import VERBS

FAULTS = {
    "kill-process",
    "out-of-memory",
    "kill-pod",
    "lose-pod",
    "restore",
    "lose-volume",
    "lose-zone",
    "restore-zone",
    "restart-all",
    "partition",
    "heal",
    "slow-link",
    "zone-distance",
    "cordon",
    "uncordon",
    "drain",
    "fill-disk",
    "free-disk",
}


def given_by_the_command_line() -> dict[str, set[str]]:
    """Fault -> names of the arguments the command line gives it."""
    parser = argparse.ArgumentParser()
    fault_command.add_verbs(parser)
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {
        name: {action.dest for action in child._actions if action.dest != "help"}
        for name, child in verbs.choices.items()
    }


def test_no_fault_is_lost() -> None:
    assert set(VERBS) == set(given_by_the_command_line()) == FAULTS


@pytest.mark.parametrize("verb", sorted(FAULTS))
def test_a_fault_takes_what_the_command_line_gives_it(verb: str) -> None:
    taken = set(inspect.signature(VERBS[verb]).parameters) - {"self"}
    assert given_by_the_command_line()[verb] == taken
