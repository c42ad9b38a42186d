"""Queues, schedules and sensors: how they do, and how stuck work is freed."""
