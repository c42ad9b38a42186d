"""Which projects have a vector: those that look for developers, and those from whose outcome the match score learns.

What a vector is made of is `vectors`; how it is kept up to date is `vector_assets`.
"""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database
from platform_assets.tables import marketplace

OPEN = "open"

_LOOKED_AT = ("viewed", "contacted", "interviewed", "hired")
"""Steps that say what a client thought of a developer."""


def placed_projects(database: Database, projects: pd.DataFrame) -> pd.DataFrame:
    """Those of the projects that are to have a vector.

    Args:
        database: The platform's database.
        projects: Rows of `marketplace.projects`.
    """
    events = marketplace.match_events
    judged = database.read(
        sa.select(events.c.project_id).where(events.c.event_type.in_(_LOOKED_AT)).distinct()
    )["project_id"]
    return projects[(projects["status"] == OPEN) | projects["project_id"].isin(judged)]
