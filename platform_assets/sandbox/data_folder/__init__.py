"""Marketplaces read from a folder of data instead of generated."""
