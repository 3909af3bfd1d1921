"""Hydra's and OmegaConf's errors as one line that names the value and the allowed ones."""

from __future__ import annotations

import re
from dataclasses import fields

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from benchbench.config import Settings, options, unknown_option
from benchbench.errors import UserError, unknown


def explain_hydra_error(error: Exception) -> str:
    """One line for whatever ended a job or kept it from starting."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group and options(group):
            return str(unknown_option(group, name))
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    cause = error.__cause__
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        return _unknown_key(cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"{_overridden(error)}: {_first_line(cause)}"
    if isinstance(error, (HydraException, OmegaConfBaseException, OSError, ValueError)):
        return _first_line(error)
    return f"{type(error).__name__}: {_first_line(error)}; debug=true shows where"


def _unknown_key(error: OmegaConfBaseException) -> str:
    key = str(getattr(error, "full_key", None) or getattr(error, "key", None) or "")
    parent, _, last = key.rpartition(".")
    if parent == "model":
        return f"unknown key {key!r}; an argument of the network is added as +{key}=..."
    names = [field.name for field in fields(Settings)] if not parent else _nested(parent)
    return str(unknown("key", last if not parent else key, names))


def _nested(parent: str) -> list[str]:
    """Dotted keys below a settings group."""
    for field in fields(Settings):
        if field.name == parent and callable(field.default_factory):
            return [f"{parent}.{inner.name}" for inner in fields(field.default_factory())]
    return [field.name for field in fields(Settings)]


def _overridden(error: Exception) -> str:
    """The override that a merge failed on."""
    found = re.search(r"override '?([^\s']+)'?", _first_line(error))
    return found[1] if found else "configuration"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
