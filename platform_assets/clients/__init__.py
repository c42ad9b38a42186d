"""Clients of everything outside: databases, APIs, models. Plain Python; nothing here imports Dagster."""
