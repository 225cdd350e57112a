"""Decides what is to be done next. Pure: no clock, no network, no memory, so every rule can be tested by itself."""
