"""Old measurements: rolled up, proven, purged; and Dagster's own history."""
