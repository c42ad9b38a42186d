"""How the asset checks stand, and the report of it."""
