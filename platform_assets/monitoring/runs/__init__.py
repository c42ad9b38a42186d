"""Runs that ended: why, and what is done about it."""
