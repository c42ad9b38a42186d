"""The performance report: the last 24 hours of the platform on one page."""
