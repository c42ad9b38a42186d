"""Versions of the schemas `platform` and `monitoring`, by Alembic; `marketplace` is the user's and never touched."""
