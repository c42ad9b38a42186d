"""The services' assets and checks over the small world: real clients, a real database, faults that are injected."""

import datetime as dt

import dagster as dg
import pytest
from sandbox_server import change_behaviour
from small_world import NOW, Platform
