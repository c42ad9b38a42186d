"""Measurements of matching: the engine beside an exhaustive computation, FAISS and pgvector, on the same data."""
