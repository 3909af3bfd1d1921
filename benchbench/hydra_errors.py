"""Hydra's and OmegaConf's errors as one line that names the value and the allowed ones."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from benchbench.config import Settings, options, unknown_option
from benchbench.errors import UserError, first_line, is_out_of_memory, unknown


def explain_hydra_error(error: BaseException) -> str:
    """One line for whatever ended a job or kept it from starting."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the network's code tried to end the program with {error.code!r}"
    if is_out_of_memory(error):
        return f"not enough memory: {first_line(error)}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return _configuration(error)
    if isinstance(error, ValueError) and "Got NoneType" in str(error):
        return "a choice cannot be null; task=list shows what there is to choose"
    if isinstance(error, (OSError, ValueError)):
        return first_line(error)
    return f"{type(error).__name__}: {first_line(error)}; debug=true shows where"


def _configuration(error: HydraException | OmegaConfBaseException) -> str:
    """One line for a configuration that cannot be composed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group and options(group):
            return str(unknown_option(group, name))
    cause = error.__cause__
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        return _unknown_key(cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"{_overridden(error)}: {first_line(cause)}"
    line = first_line(error)
    if line.startswith("Lexer"):  # the name of an exception of the grammar's
        return f"{line.partition(': ')[2]}: not understood; quote values with special characters"
    if line.startswith("Ambiguous value"):
        return f"{line}: --multirun (-m) runs each, key=[a,b] is a list"
    return line


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
            inner = field.default_factory()
            if is_dataclass(inner):
                return [f"{parent}.{one.name}" for one in fields(inner)]
    return [field.name for field in fields(Settings)]


def _overridden(error: BaseException) -> str:
    """The override that a merge failed on."""
    found = re.search(r"override '?([^\s']+)'?", first_line(error))
    return found[1] if found else "configuration"
