"""The matching assets: thin Dagster functions that find what changed, compute, measure, publish, and say what changed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from platform_assets.clients.database import Database, WriteCounts
from platform_assets.matching import cleanup, publication, refreshing
from platform_assets.matching.lists import Places
from platform_assets.resources import Clock
from platform_assets.table_assets import measured, table_asset, written
from platform_assets.tables import matching as tables
