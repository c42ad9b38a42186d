"""Tells people what happened: routes events to channels, sends each message at least once, and proves that it can."""
