"""Carries out what was decided: single actions, and moves of slots. Knows commands, not reasons."""
