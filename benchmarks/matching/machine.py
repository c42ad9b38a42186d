"""What the machine can do: its processor's features, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

_TOLD = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "neon", "asimd")


def features() -> dict[str, Any]:
    """Processor, its vector and matrix features, cores this process may use, and the load by others."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text("utf-8") if cpuinfo.exists() else ""
    lines = [line.partition(":") for line in text.split("\n\n")[0].splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "cpu_features": [flag for flag in _TOLD if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def gemm_rate(format_: str, *, rows: int = 2_048, columns: int = 16_384, depth: int = 384) -> float:
    """Multiplications and additions a second of a plain matrix product on all cores, best of some."""
    import torch

    left = torch.randn(rows, depth).to(getattr(torch, format_))
    right = torch.randn(columns, depth).to(getattr(torch, format_))
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        torch.mm(right, left.T)
        seconds.append(time.perf_counter() - started)
    return 2.0 * rows * columns * depth / min(seconds)
