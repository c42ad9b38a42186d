"""The error of labelled data that can't be read. What is read is told by the modules of the measurements."""

from __future__ import annotations

from collections.abc import Sequence

from platform_assets.errors import PlatformError


class EvaluationDataError(PlatformError):
    """Labelled data is missing or malformed; the message lists every problem.

    Attributes:
        problems: The problems, in the order of the files.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The labelled data can't be used:\n" + "\n".join(f"  - {p}" for p in self.problems))
