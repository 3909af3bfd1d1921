"""A case is one network, executed one way on one input: everything needed to build it, lazily."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from architectures.scaling import Scale, compound
from benchbench.config import (
    ScaleSettings,
    Settings,
    executed,
    model_settings,
    options,
    unknown_option,
)
from benchbench.cores import thread_count
from benchbench.errors import UserError, first_line, unknown
from benchbench.processes import apart
from benchbench.support import RUNTIME_OPTIONS, check_installed

if TYPE_CHECKING:
    from torch import nn

# What Hydra's `instantiate` would act on. We do not use it, so inside a network's arguments
# these keys can only be a mistake or an attack.
FORBIDDEN_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
NOT_ARGUMENTS = ("_target_", "resolution", "preprocessing")
DEFAULT_PREPROCESSING = "torchvision"


@dataclass(frozen=True)
class Case:
    """One network and how it is executed. Holds only plain values: workers are spawned."""

    name: str
    target: str  # dotted path of an nn.Module class
    arguments: Mapping[str, Any]
    resolution: int
    batch_size: int
    device: str
    device_index: int
    runtime: str
    precision: str
    layout: str
    threads: int
    input: str
    preprocessing: str
    seed: int
    weights: str | None = None  # the path of a checkpoint
    weights_format: str = "auto"
    labels: str | None = None  # path of the labels of a folder of images
    cache: str = "warm"
    mode: str = "inference"
    runtime_options: Mapping[str, Any] = field(default_factory=dict)  # those it reads
    calibration: str | None = None  # path of a folder of images, for int8
    crops: int | None = None  # of the images to judge on; for task=agreement
    prepared: str | None = None  # folder of what the runtime made of it; records leave it out
    input_channels: int = 3
    processes: int | None = None  # to be measured in at most, where the budget has more
    turn: str = ""  # cases of one turn are measured in turn; one turn after the other
    axes: Mapping[str, Any] = field(
        default_factory=dict
    )  # what an experiment varies, for its judge

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)"""
        return (self.batch_size, self.input_channels, self.resolution, self.resolution)

    @property
    def device_name(self) -> str:
        """What torch calls the device."""
        return self.device if self.device == "cpu" else f"{self.device}:{self.device_index}"


def from_settings(settings: Settings, name: str) -> Case:
    """The case that the settings of a run describe; `name` is what reports call the network.

    Raises:
        UserError: no network was chosen, or a value does not fit it or this machine.
    """
    model = dict(settings.model)
    target = model.get("_target_")
    if not target:
        raise UserError("no network: say model=NAME (task=list shows them all)")
    resolution = model.get("resolution")
    if not isinstance(resolution, int) or isinstance(resolution, bool) or resolution < 1:
        if settings.resolution is None:
            what = f"model.resolution={resolution} of {target}"
            raise UserError(f"{what}: must be a whole number of pixels")
        resolution = settings.resolution
    arguments = {key: value for key, value in model.items() if key not in NOT_ARGUMENTS}
    _refuse_nested_targets(arguments)
    if settings.resolution is not None and settings.scale.resolution != 1:
        both = (
            f"resolution={settings.resolution} and scale.resolution={settings.scale.resolution:g}"
        )
        raise UserError(f"{both}: give one of them")
    check_installed(settings)
    scale = _scale(settings.scale)
    arguments |= _scaled(str(target), arguments, settings.scale)
    return Case(
        name=name,
        target=str(target),
        arguments=arguments,
        # A resolution that was asked for is final.
        resolution=settings.resolution or max(1, round(resolution * scale.resolution)),
        batch_size=settings.batch_size,
        device=settings.device.type,
        device_index=settings.device.index,
        runtime=settings.runtime.name,
        precision=settings.precision,
        layout=settings.layout,
        threads=thread_count(settings.threads),
        input=settings.input,
        preprocessing=_preprocessing(str(model.get("preprocessing", DEFAULT_PREPROCESSING))),
        seed=settings.seed,
        weights=settings.weights,
        weights_format=settings.weights_format,
        labels=settings.labels,
        cache=settings.cache,
        mode=settings.mode,
        calibration=settings.calibration,
        runtime_options={
            option: getattr(settings.runtime, option)
            for option in RUNTIME_OPTIONS.get(settings.runtime.name, ())
        },
    )


def from_models(settings: Settings) -> list[Case]:
    """A case for each of `models`, in each of `runtimes` and of `precisions`.

    Models are names, globs of names, and networks of one's own.

    Raises:
        UserError: fewer than two cases, one twice, or one that does not exist.
    """
    chosen = [entry for item in settings.models for entry in _models(item)]
    names = [name for name, _ in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"models: {', '.join(twice)} stands there twice")
    ways = _ways(settings)
    if len(chosen) * len(ways) < 2:
        given = f"models=[{', '.join(names)}]"
        raise UserError(
            f"{given}: needs at least two networks (task=list shows them all), or one in several "
            "runtimes=[...] or precisions=[...]"
        )
    return [
        from_settings(replace(executed(settings, *way), model=model), name)
        for way in ways
        for name, model in chosen
    ]


def _ways(settings: Settings) -> list[tuple[str, str]]:
    """Every runtime with every precision that was asked for."""
    runtimes = settings.runtimes or [settings.runtime.name]
    precisions = settings.precisions or [settings.precision]
    return [(runtime, precision) for runtime in runtimes for precision in precisions]


def labels(cases: Sequence[Case]) -> list[str]:
    """What tells cases of one comparison apart: name, and how it is executed where that differs."""
    axes = [axis for axis in ("runtime", "precision") if len({getattr(c, axis) for c in cases}) > 1]
    return [" ".join([case.name, *(getattr(case, axis) for axis in axes)]) for case in cases]


def _models(item: Any) -> list[tuple[str, dict[str, Any]]]:
    """The networks that an item of `models` stands for: name and settings of each."""
    if isinstance(item, dict):
        target = str(item.get("_target_"))
        return [(target.rpartition(".")[2], item)]
    pattern = re.fullmatch(r"glob\((.*)\)", str(item))
    if pattern is None:
        if str(item) not in options("model"):
            raise unknown_option("model", str(item))
        return [(str(item), model_settings(str(item)))]
    found = fnmatch.filter(options("model"), pattern[1])
    if not found:
        raise UserError(f"models={item}: no variant is called so; task=list shows them all")
    return [(name, model_settings(name)) for name in found]


def case_of_variant(case: Case, name: str) -> Case:
    """Another variant, executed as `case` is, without its weights."""
    model = model_settings(name)
    return replace(
        case,
        name=name,
        target=model["_target_"],
        arguments={key: value for key, value in model.items() if key not in NOT_ARGUMENTS},
        resolution=model["resolution"],
        weights=None,
    )


def _scale(scale: ScaleSettings) -> Scale:
    return Scale(scale.width, scale.depth, scale.resolution) * compound(scale.phi)


def _scaled(target: str, arguments: Mapping[str, Any], settings: ScaleSettings) -> dict[str, float]:
    """The network's own width and depth times the factors that are not 1.

    Raises:
        UserError: the network's class has no such argument, or it is no number.
    """
    scaled: dict[str, float] = {}
    for key in ("width", "depth"):
        factor = getattr(_scale(settings), key)
        if factor == 1:
            continue
        parameters = _parameters(target) if is_ours(target) else apart(target, _parameters, target)
        if key not in parameters:
            typed = getattr(settings, key)
            asked = f"scale.phi={settings.phi:g}" if typed == 1 else f"scale.{key}={typed:g}"
            raise UserError(f"{asked}: {target} has no argument {key!r}")
        own = arguments.get(key, parameters[key])
        if isinstance(own, bool) or not isinstance(own, (int, float)):
            raise UserError(f"model.{key}={own}: must be a number to be scaled")
        scaled[key] = own * factor
    return scaled


def _parameters(target: str) -> dict[str, Any]:
    """The arguments of a network, with those defaults that are plain numbers."""
    parameters = inspect.signature(import_network(target)).parameters.values()
    return {
        one.name: one.default if type(one.default) in (bool, int, float) else None
        for one in parameters
    }


def is_ours(target: str) -> bool:
    """Whether a network's code comes with benchbench or torch; of other code nothing is known."""
    return target.startswith(("architectures.", "benchbench.", "torch."))


def import_network(target: str) -> type[nn.Module]:
    """The class at a dotted path.

    Raises:
        UserError: there is none, or it is no nn.Module class. It is not called to find out.
    """
    from torch import nn

    found = _resolve(target)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"model._target_={target}: only a torch.nn.Module class may be built")
    return found


def _resolve(target: str) -> object:
    """What a dotted path names: the longest part that is a module, then its attributes."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts) or len(parts) < 2:
        raise UserError(f"model._target_={target}: must be a dotted path, package.module.Class")
    for length in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:length])
        try:
            found: object = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
                continue  # it is this path that is no module, not something it imports
            raise UserError(f"model._target_={target}: {first_line(error)}") from error
        except Exception as error:
            message = (
                f"model._target_={target}: importing {module_name} failed: {first_line(error)}"
            )
            raise UserError(message) from error
        for part in parts[length:]:
            found = getattr(found, part, None)
        if found is None:
            message = f"model._target_={target}: {module_name} has no {parts[length]!r}"
            raise UserError(message + _hidden(parts[0]))
        return found
    raise UserError(f"model._target_={target}: there is no module {parts[0]!r} to import")


def _hidden(name: str) -> str:
    """What to add where the working folder has a module of a name that is taken."""
    own = next((path for path in (Path(f"{name}.py"), Path(name)) if path.exists()), None)
    file = getattr(sys.modules.get(name), "__file__", None)
    if own is None or (file and Path(file).resolve().is_relative_to(own.resolve())):
        return ""
    return f"; {own} in the working folder has the name of another module: rename it"


def _preprocessing(name: str) -> str:
    from architectures.preprocessing import PREPROCESSING

    if name not in PREPROCESSING:
        raise unknown("model.preprocessing", name, PREPROCESSING)
    return name


def _refuse_nested_targets(value: object, path: str = "model") -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in FORBIDDEN_KEYS:
                raise UserError(f"{path}.{key}={item}: a network's arguments may not build objects")
            _refuse_nested_targets(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nested_targets(item, f"{path}.{index}")


def image_path(case: Case) -> Path | None:
    """The image to feed, None for random input.

    Raises:
        UserError: a `~name` that is nobody's home.
    """
    return None if case.input == "random" else expanded("input", case.input)


def fed_one_tensor(case: Case) -> Case:
    """The same case, fed noise where its input is a folder: what runtimes are compared on.

    Raises:
        UserError: a `~name` that is nobody's home.
    """
    path = image_path(case)
    return replace(case, input="random") if path is not None and path.is_dir() else case


def weights_path(case: Case) -> Path:
    """The path of a case's checkpoint.

    Raises:
        UserError: a `~name` that is nobody's home.
    """
    assert case.weights is not None
    return expanded("weights", case.weights)


def expanded(key: str, path: str) -> Path:
    """The path that was given for a key, `~` being one's home.

    Raises:
        UserError: a `~name` that is nobody's home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{key}={path}: {first_line(error)}") from error
