"""Any Python or pandas value → one that JSON and Postgres's JSONB can hold, losing as little as can be.

For what people will read: quarantined rows and details of alerts. Values for JSONB columns of tables are not bent to
fit but checked, in `copy_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def to_jsonable(value: Any) -> Any:
    """The value with everything unknown to JSON as text: dates in ISO format, NaN by name, the rest by `str`."""
    # numpy's and pandas's scalars turn into Python's, arrays into lists.
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_text(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_jsonable(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return _text(value)


def _text(value: Any) -> str:
    # JSONB holds neither NUL nor half of a surrogate pair.
    return str(value).replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
