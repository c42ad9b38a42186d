"""Keeps the platform's processes alive: starts them, notices when one ends, starts it again, and stops all together."""
