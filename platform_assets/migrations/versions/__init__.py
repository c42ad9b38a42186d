"""One file per version of the schema, numbered in order."""
