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
    devices: dict[str, str]
    choices: dict[str, list[str]]


def inventory() -> Inventory:
    """Read from conf/ and the drivers; needs no torch."""
    found = variants()
    modules = [variant.target.split(".")[-2] for variant in found]
    families = tuple(Family(name, modules.count(name)) for name in sorted(set(modules)))
    gpus = {f"cuda:{index}": name for index, name in enumerate(gpu_names())}
    return Inventory(
        variants=tuple(found),
        families=families,
        devices={"cpu": cpu_name()} | gpus,
        choices={group: options(group) for group in CHOICES},
    )
