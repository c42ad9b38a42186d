"""Alerts: raised once for each problem, resolved when the cause is gone."""
