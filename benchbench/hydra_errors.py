"""Hydra's and OmegaConf's errors as one line that names the value and the allowed ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from benchbench.config import Settings, conf_dir, options, unknown_option
from benchbench.errors import UserError, described, first_line, is_out_of_memory, shortened, unknown


def explain_hydra_error(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """One line for whatever ended a job or kept it from starting.

    Of an error that names none of the overrides, the line begins with the one that causes it.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the network's code tried to end the program with {error.code!r}"
    if is_out_of_memory(error):
        return f"{_network(overrides)}not enough memory: {first_line(error)}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return _configuration(error, overrides)
    where = _network(overrides)
    if "Got NoneType" in first_line(error):
        return f"{where}a choice cannot be null; task=list shows what there is to choose"
    if isinstance(error, (OSError, ValueError)):
        return f"{where}{getattr(error, 'strerror', None) or first_line(error)}"
    return f"{where}{described(error)}; debug=true shows where"


def _network(overrides: Sequence[str]) -> str:
    """ "model=resnet50: ", or all that was typed where no network was."""
    chosen = [
        item for item in overrides if item.startswith(("model=", "model._target_=", "models="))
    ]
    return f"{shortened(' '.join(chosen or overrides))}: " if overrides else ""


def _configuration(error: HydraException | OmegaConfBaseException, overrides: Sequence[str]) -> str:
    """One line for a configuration that cannot be composed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group and options(group):
            return str(unknown_option(group, name))
    cause = error.__cause__ or error
    if isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        return _unknown_key(cause)
    line = re.sub(r"field '\S+' is not Optional", "cannot be null", first_line(cause))
    if line.startswith("Ambiguous value"):
        return f"{line}: --multirun (-m) runs each, key=[a,b] is a list"
    if any(override in line for override in overrides):
        return line
    return f"{_blamed(error, cause, overrides)}: {line}"


def _blamed(error: Exception, cause: BaseException, overrides: Sequence[str]) -> str:
    """The override that an error is about: the one it names, or one that fails by itself."""
    key = str(getattr(cause, "full_key", None) or "")
    found = re.search(r"override '?([^\s']+)'?", first_line(error))
    if found:
        return found[1]
    for override in overrides:
        if key and override.lstrip("+~").partition("=")[0] == key:
            return shortened(override)
    return next(filter(_fails_alone, overrides), "") or key or "configuration"


def _fails_alone(override: str) -> bool:
    loader = ConfigLoaderImpl(create_config_search_path(str(conf_dir())))
    try:
        loader.load_configuration("config", [override], RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException):
        return True
    return False


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
