"""What there is: variants, families, devices, tasks and the other choices."""

from __future__ import annotations

from typing import NamedTuple

from benchbench.config import Variant, options, variants
from benchbench.device import cpu_name, gpu_names

CHOICES = ("task", "device", "runtime", "profiler", "budget", "store")


class Family(NamedTuple):
    name: str  # the module
    variants: int


class Inventory(NamedTuple):
    variants: tuple[Variant, ...]
    families: tuple[Family, ...]
    devices: dict[str, list[str]]  # by type
    choices: dict[str, list[str]]


def inventory() -> Inventory:
    """Read from conf/ and the drivers; needs no torch."""
    networks = variants()
    modules = [variant.target.split(".")[-2] for variant in networks]
    families = tuple(Family(name, modules.count(name)) for name in sorted(set(modules)))
    devices = {"cpu": [cpu_name()], "cuda": list(gpu_names())}
    return Inventory(
        variants=tuple(networks),
        families=families,
        devices={name: found for name, found in devices.items() if found},
        choices={group: options(group) for group in CHOICES},
    )
