"""The numbers that monitoring compares with: health of services, queues, alerts, notifications, recovery, retention.

A block for each topic. Only data; the comparison stands in `thresholds.py`, what is measured in `monitoring/`.
"""

from __future__ import annotations
