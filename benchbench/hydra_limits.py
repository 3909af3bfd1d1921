"""What of Hydra a command line and a configuration folder may use: nothing that runs other code.

Hydra imports and calls whatever its own section names: callbacks, launchers, log handlers, packages
on its search path, and a pickled job. That section is this program's. Whoever writes a command line
or a configuration file for it chooses settings and networks.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchbench.config import Settings, conf_dir, options, unknown_option
from benchbench.errors import UserError, first_line, shortened, suggestion

FLAGS = {
    "experimental_rerun": "--experimental-rerun",
    "config_path": "--config-path",
    "config_name": "--config-name",
}
ALLOWED_FLAGS = "--help, --multirun, --cfg, --info, --config-dir and --shell-completion"
# What Hydra itself writes into its section while it composes, or follows from these.
WRITTEN_BY_HYDRA = ("runtime", "overrides", "mode")
WRITTEN_OF_A_JOB = ("name", "config_name", "override_dirname", "num", "id")

# The choices of conf/ that a bare word is looked for in, the most likely first.
GROUPS = ("model", "task", "device", "runtime", "profiler", "budget", "store", "guideline")
PACKAGES = ("_global_", "_group_", "_here_", "_name_")  # Hydra's words for places
LARGEST_FILE = 2**20  # bytes of a configuration file
MOST_VALUES = 10_000  # in one
Method = Callable[..., Any]


def check_flags(flags: Namespace) -> None:
    """Refuse flags that replace the program's own configuration or read a pickled one.

    Raises:
        UserError: naming the flag, its value and the flags that there are.
    """
    for name, flag in FLAGS.items():
        value = getattr(flags, name)
        if value is not None:
            raise UserError(f"{flag} {value} is not supported; allowed are {ALLOWED_FLAGS}")


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what is no override, and overrides of Hydra's own section, however they are written.

    Raises:
        UserError: naming the override and what was probably meant.
    """
    parser = OverridesParser.create()
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            raise _no_override(text)
        try:
            override = parser.parse_overrides([text])[0]
        except (HydraException, RecursionError) as error:
            raise UserError(
                f"{shortened(text)}: not understood; quote values with special characters"
            ) from error
        _check_key(override, text)


def _no_override(text: str) -> UserError:
    """A word without a key: perhaps the name of an option, or a key without its value."""
    for group in GROUPS:
        if text in options(group):
            return UserError(f"{text}: say {group}={text}")
    if text.lstrip("+") in asdict(Settings()):
        return UserError(f"{text}: has no value; say {text}=VALUE")
    close = suggestion(text, options("model"))
    return UserError(f"{shortened(text)}: settings are written key=value, as in model=NAME{close}")


def _check_key(override: Override, text: str) -> None:
    key = override.key_or_group
    if not key:
        raise UserError(f"{shortened(text)}: has no key; settings are written key=value")
    for place in (key, override.package or ""):
        parts = [part for part in place.replace("/", ".").split(".") if part not in PACKAGES]
        if parts[:1] == ["hydra"]:
            raise UserError(
                f"{shortened(text)}: Hydra's own settings cannot be changed; "
                "results=FOLDER says where files go, -m runs a sweep"
            )
    if key in GROUPS and not override.is_delete() and not override.is_sweep_override():
        value = override.value()
        if isinstance(value, bool | int | float | dict) and value != {}:
            raise unknown_option(key, str(value))


@contextmanager
def limits(config_dir: str | None) -> Iterator[None]:
    """Let Hydra compose once, and from a folder only files that leave its own settings alone.

    A file there could set the section `hydra` too, and Hydra acts on it once it is composed.
    """
    # It composes everything once more to learn `hydra.mode`, which cannot be set here.
    with _replaced(Hydra, "get_mode", lambda _: lambda *_, **__: None):
        if config_dir is None:
            yield
            return
        with _limited_folder():
            yield


@contextmanager
def _limited_folder() -> Iterator[None]:
    Plugins.instance()  # reading files is one
    with (
        _replaced(ConfigLoaderImpl, "load_configuration", _with_own_section),
        _replaced(SourcesRegistry.instance().resolve("file"), "load_config", _of_bounded_size),
    ):
        yield


@contextmanager
def _replaced(owner: type, name: str, wrap: Callable[[Method], Method]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _with_own_section(load_configuration: Method) -> Method:
    def checked(*arguments: Any, **named: Any) -> DictConfig:
        found: DictConfig = load_configuration(*arguments, **named)
        own_loader = ConfigLoaderImpl(create_config_search_path(str(conf_dir())))
        own = load_configuration(own_loader, "config", [], RunMode.RUN)
        difference = next(_differences("hydra", _section(found), _section(own)), None)
        if difference is not None:
            raise UserError(
                f"--config-dir: a file there sets {difference}, and Hydra's own settings cannot "
                "be changed"
            )
        return found

    return checked


def _of_bounded_size(load_config: Method) -> Method:
    def checked(self: ConfigSource, config_path: str) -> Any:
        path = Path(self.path, self._normalize_file_name(config_path))
        if path.is_file():
            _check_size(path)
        return load_config(self, config_path)

    return checked


def _check_size(path: Path) -> None:
    """Refuse a file whose aliases would unfold to more values than anybody writes.

    Raises:
        UserError: naming the file and why.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise UserError(f"{path}: is larger than {LARGEST_FILE} bytes")
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        count = _unfolded(root, {}) if root is not None else 0
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else ""
        raise UserError(f"{path}: is no YAML{where or f': {first_line(error)}'}") from error
    if count > MOST_VALUES:
        raise UserError(f"{path}: its aliases unfold to more than {MOST_VALUES} values")


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node is when each alias is a copy; infinitely many if it holds itself."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # for an alias of a node that is still open
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_unfolded(child, known) for child in children)
    return known[id(node)]


def _section(config: DictConfig) -> dict[str, Any]:
    section = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(section, dict)
    for name in WRITTEN_BY_HYDRA:
        section.pop(name, None)
    for name in WRITTEN_OF_A_JOB:
        section["job"].pop(name, None)
    return {str(key): value for key, value in section.items()}


def _differences(path: str, found: Any, own: Any) -> Iterator[str]:
    """The dotted keys of what was found that are not as in our own section."""
    if isinstance(found, dict) and isinstance(own, dict):
        for key in sorted({*found, *own}, key=str):
            yield from _differences(f"{path}.{key}", found.get(key), own.get(key))
    elif found != own:
        yield path
