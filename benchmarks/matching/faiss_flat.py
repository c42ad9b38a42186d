"""FAISS `IndexFlatIP`: exact search by the vectors alone, which knows neither score nor filters."""

from __future__ import annotations

import numpy as np

from benchmarks.matching.world import World
from platform_assets.matching.vectors import Vectors


def one_vector_each(world: World) -> Vectors:
    """The first vector of each developer, zero for those without."""
    developers = world.developers
    starts, has_vector = developers.facet_starts[:-1], np.diff(developers.facet_starts) > 0
    vectors = np.zeros((len(starts), developers.dimensions), dtype=np.float32)
    vectors[has_vector] = developers.vectors[starts[has_vector]]
    return vectors


def project_vectors(world: World) -> Vectors:
    """The projects' vectors."""
    return np.stack([project.vector for project in world.projects if project.vector is not None])


class FlatIndex:
    """The index; adding the vectors is a copy and is not timed."""

    def __init__(self, vectors: Vectors) -> None:
        """Put the vectors into an index."""
        import faiss

        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def search(self, queries: Vectors, count: int, *, threads: int | None = None) -> None:
        """Find the nearest vectors of each query, with as many threads as FAISS likes or as given."""
        import faiss

        own = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(threads or own)
        try:
            self._index.search(queries, count)
        finally:
            faiss.omp_set_num_threads(own)
