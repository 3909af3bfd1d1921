"""Throwing a case's data out of the caches before a call, for cache=cold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchbench.cases import Case

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL_BYTES = 64 * 2**20  # where nobody says how large the last-level cache is
MULTIPLE = 2


def evictor(case: Case) -> tuple[Callable[[], None], int]:
    """A function that writes twice the last-level cache, and how many bytes that is."""
    import torch

    size = MULTIPLE * (_gpu_cache(case) if case.device == "cuda" else last_level_cache())
    buffer = torch.zeros(size, dtype=torch.uint8, device=case.device_name)

    def evict() -> None:
        buffer.add_(1)

    return evict, size


def last_level_cache(caches: Path = CACHES) -> int:
    """Bytes of the largest cache that the first core sees."""
    sizes = [_bytes(path.read_text(encoding="utf-8")) for path in caches.glob("index*/size")]
    return max(sizes, default=USUAL_BYTES)


def _bytes(text: str) -> int:
    """Linux writes "480M" or "32K"."""
    text = text.strip()
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def _gpu_cache(case: Case) -> int:
    import torch

    return torch.cuda.get_device_properties(case.device_index).L2_cache_size or USUAL_BYTES
