"""Evaluates a stack offline, and shows what it comes to: text, comparison, HTML page."""
