"""The networks of conf/model as cases, for tests that go through all of them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir

from benchbench.cases import Case, from_settings
from benchbench.config import conf_dir, register, settings, variants

NAMES = [variant.name for variant in variants()]


def variant(name: str, *overrides: str) -> Case:
    """The case that `model=name` and further overrides make."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", [f"model={name}", *overrides])
    return from_settings(settings(config), name)
