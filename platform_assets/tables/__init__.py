"""SQLAlchemy tables, one file per schema; no queries and no logic."""
