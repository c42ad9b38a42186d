"""Dagster data assets that keep a freelancing marketplace's derived tables fresh."""
