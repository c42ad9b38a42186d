"""Runnable measurements, each with `--json`; never part of the test run."""
