"""Asks every node of the cluster for its own account of it, and keeps the answers as values. Changes nothing."""
