"""The typed schema of a run, and the only file that reads a job's configuration object."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from benchbench.errors import UserError, shortened, suggestion, unknown
from benchbench.support import PRECISIONS, check_execution

OUTPUTS = ("table", "json", "csv")
LAYOUTS = ("contiguous", "channels_last")
CACHES = ("warm", "cold")
ABLATIONS = ("edits", "factorial")
MODES = ("inference", "train")
WEIGHTS_FORMATS = ("auto", "torchvision", "timm", "official", "lite_pytorch")


@dataclass
class TaskSettings:
    name: str = "profile"
    rule: dict[str, Any] = field(default_factory=dict)  # how it judges, said beforehand


@dataclass
class DeviceSettings:
    type: str = "cpu"
    index: int = 0


@dataclass
class RuntimeSettings:
    """What executes the network. Each option is read by the runtimes that support.py names."""

    name: str = "eager"
    autotune: bool = False  # let inductor time several kernels for a layer, and take the fastest
    provider: str = "auto"  # of ONNX Runtime; auto: the device's own
    opset: int = 20  # of the ONNX graph that torch exports


@dataclass
class ProfilerSettings:
    complexity: bool = False
    fvcore: bool = False
    latency: bool = False
    device_time: bool = False
    memory: bool = False
    energy: bool = False
    operators: bool = False
    roofs: bool = False
    graph: bool = False
    kernels: bool = False  # which kernel executes each convolution
    accuracy: bool = False  # task=accuracy's, never beside others
    agreement: bool = False  # task=agreement's, likewise


@dataclass
class BudgetSettings:
    """How long to measure: in how many processes, and in each of them."""

    name: str = "standard"
    processes: int = 5
    seconds: float = 4.0  # of timed calls of each network, at most
    warm_up_seconds: float = 0.5  # at least
    warm_up_limit_seconds: float = 10.0  # then it counts as never steady
    min_samples: int = 20


@dataclass
class StoreSettings:
    url: str = "sqlite:///results/benchbench.sqlite"


@dataclass
class ScaleSettings:
    """Factors on the network as its variant says it; `phi` is the compound coefficient."""

    width: float = 1.0
    depth: float = 1.0
    resolution: float = 1.0
    phi: float = 0.0


@dataclass
class Settings:
    """What one job was asked to do. Not frozen: Hydra cannot compose frozen classes."""

    task: TaskSettings = field(default_factory=TaskSettings)
    model: dict[str, Any] = field(default_factory=dict)
    models: list[Any] = field(default_factory=list)  # names, globs or networks that take turns
    largest_multiply_adds: float = 1e9  # of task=explain: of the networks that a glob names
    runtimes: list[str] = field(default_factory=list)  # where networks take turns: each in each
    precisions: list[str] = field(default_factory=list)  # likewise
    guideline: dict[str, Any] = field(default_factory=dict)  # of task=guidelines; {}: all four
    ladders: list[str] = field(default_factory=list)  # of task=guidelines; []: what the budget says
    device: DeviceSettings = field(default_factory=DeviceSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    profiler: ProfilerSettings = field(default_factory=ProfilerSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    weights: str | None = None  # the path of a checkpoint; None: random ones
    weights_format: str = "auto"
    precision: str = "fp32"
    layout: str = "contiguous"
    cache: str = "warm"  # or "cold": the last-level cache is evicted before every call
    mode: str = "inference"  # or "train": forward, backward and optimiser step
    batch_size: int = 1
    threads: str = "1"  # a number, or "all"
    resolution: int | None = None  # None: the network's own
    input: str = "random"  # or the path of an image; for task=accuracy, of a folder of them
    ablation: str = "edits"  # of task=ablation: one edit at a time; or "factorial"
    crops: int = 500  # of task=agreement: random ones, of the image or images of `input`
    labels: str | None = None  # path of the labels of a folder without class folders
    calibration: str | None = None  # folder of images to see int8's ranges on; None: noise
    seed: int = 0
    output: str = "table"
    tag: str | None = None
    baseline: str | None = None  # of task=compare: a tag, a record's id or a file
    candidate: str | None = None
    records: str | None = None  # judge these instead of measuring: a tag or a record's id
    force: bool = False  # compare unlike fingerprints all the same, and say so
    plots: bool | None = None  # None: pictures, except under --multirun
    plan: bool = False  # show what would run, and run nothing
    debug: bool = False  # show tracebacks
    results: str = "results"  # folder of the database and the pictures


def register() -> None:
    """Make the schema known to Hydra, under the name that conf/config.yaml asks for."""
    ConfigStore.instance().store(name="schema", node=Settings)


def conf_dir() -> Path:
    """The configuration folder: inside an installed package, beside it in a checkout."""
    installed = Path(__file__).parent / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "conf"


def settings(config: DictConfig) -> Settings:
    """The typed settings of a composed configuration.

    Raises:
        UserError: a value makes no sense, whatever the network or the machine.
    """
    missing = OmegaConf.missing_keys(config) - {"model._target_"}
    if missing:
        raise UserError(f"no value for {', '.join(sorted(missing))}")
    if OmegaConf.is_missing(config.model, "_target_"):
        config.model._target_ = None
    _refuse_added_keys(config)
    converted = OmegaConf.to_object(config)
    assert isinstance(converted, Settings)
    _check(converted)
    return converted


def plain(value: Settings) -> dict[str, Any]:
    """Settings as built-in types, for records."""
    container = asdict(value)
    container["store"]["url"] = hide_password(value.store.url)
    return container


def hide_password(text: str) -> str:
    """A text with the passwords of the database URLs in it made unreadable."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _refuse_added_keys(config: DictConfig) -> None:
    """Hydra lets `+key=value` add what the schema does not have; only `+model.` may."""
    schema = asdict(Settings())
    for name in map(str, config):
        if name not in schema:
            raise unknown("key", name, schema)
        inner = schema[name]
        if isinstance(inner, dict) and name not in ("model", "guideline"):
            for key in map(str, config[name]):
                if key not in inner:
                    allowed = [f"{name}.{item}" for item in inner]
                    raise unknown("key", f"{name}.{key}", allowed)


LARGEST_SCALE = 100  # beyond it building alone takes minutes
LARGEST_PHI = 16  # 65,536 times the multiply-adds
_RANGES = {
    "batch_size": (1, 2**62),
    "resolution": (1, 2**31),
    "seed": (0, 2**63 - 1),
    "crops": (1, 10**6),
}
PATHS = (
    *("results", "input", "weights", "labels", "calibration"),
    *("baseline", "candidate", "records"),
)
_ALLOWED = {
    "output": OUTPUTS,
    "layout": LAYOUTS,
    "precision": PRECISIONS,
    "cache": CACHES,
    "ablation": ABLATIONS,
    "mode": MODES,
    "weights_format": WEIGHTS_FORMATS,
}


def _check(value: Settings) -> None:
    for key, (least, most) in _RANGES.items():
        number = getattr(value, key)
        if number is not None and not least <= number <= most:
            limit = f"at least {least}" if number < least else f"at most {most}"
            raise UserError(f"{key}={number}: must be {limit}")
    for key, allowed in _ALLOWED.items():
        if getattr(value, key) not in allowed:
            given = shortened(str(getattr(value, key)))
            raise UserError(
                f"{key}={given}: allowed are {', '.join(allowed)}{suggestion(given, allowed)}"
            )
    for key in PATHS:
        if getattr(value, key) == "":
            raise UserError(f"{key}= is empty: it must be a path")
    if not value.largest_multiply_adds > 0:
        raise UserError(f"largest_multiply_adds={value.largest_multiply_adds}: must be above 0")
    _check_ways(value)
    _check_groups(value)
    _check_budget(value.budget)
    check_execution(value)


def _check_ways(value: Settings) -> None:
    for key in ("runtimes", "precisions"):
        given = getattr(value, key)
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise UserError(f"{key}: {', '.join(twice)} stands there twice")


def _check_groups(value: Settings) -> None:
    if value.device.index < 0:
        raise UserError(f"device.index={value.device.index}: must be at least 0")
    if not re.fullmatch(r"all|[1-9][0-9]*", value.threads):
        raise UserError(f"threads={value.threads}: allowed are a number from 1 on, and all")
    for key in ("width", "depth", "resolution"):
        factor = getattr(value.scale, key)
        if not 0 < factor <= LARGEST_SCALE:
            raise UserError(f"scale.{key}={factor}: must be above 0 and at most {LARGEST_SCALE}")
    if not abs(value.scale.phi) <= LARGEST_PHI:
        limits = f"-{LARGEST_PHI} to {LARGEST_PHI}"
        raise UserError(f"scale.phi={value.scale.phi}: must be from {limits}")


def executed(value: Settings, runtime: str, precision: str) -> Settings:
    """The same settings, executed by this runtime in this precision."""
    return replace(value, runtime=replace(value.runtime, name=runtime), precision=precision)


def _check_budget(value: BudgetSettings) -> None:
    if value.processes < 1:
        raise UserError(f"budget.processes={value.processes}: must be at least 1")
    for key in ("seconds", "warm_up_seconds", "warm_up_limit_seconds", "min_samples"):
        number = getattr(value, key)
        if not 0 <= number < float("inf"):
            raise UserError(f"budget.{key}={number}: must be a number from 0 on")


@dataclass(frozen=True)
class Variant:
    name: str
    target: str
    resolution: int
    source: str  # the first comment line: paper and table row


def variants() -> list[Variant]:
    """Every network that conf/model names, in alphabetical order."""
    return [_variant(path) for path in sorted((conf_dir() / "model").glob("*.yaml"))]


def model_settings(name: str) -> dict[str, Any]:
    """What `model=name` sets: `_target_`, `resolution`, `preprocessing` and arguments."""
    return _with_defaults(conf_dir() / "model" / f"{name}.yaml")


def default_profiler() -> ProfilerSettings:
    """What is measured where `profiler=` says nothing."""
    return ProfilerSettings(**_with_defaults(conf_dir() / "profiler" / "default.yaml"))


def guideline_settings() -> dict[str, Any]:
    """What `guideline=[...]` sets where all of them are named."""
    merged: dict[str, Any] = {}
    for path in sorted((conf_dir() / "guideline").glob("*.yaml")):
        merged |= _with_defaults(path)
    return merged


def _variant(path: Path) -> Variant:
    merged = model_settings(path.stem)
    first_line = path.read_text(encoding="utf-8").splitlines()[0]
    return Variant(
        name=path.stem,
        target=str(merged["_target_"]),
        resolution=int(merged["resolution"]),
        source=first_line.lstrip("# "),
    )


def _with_defaults(path: Path) -> dict[str, Any]:
    own = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(own, dict)
    merged: dict[str, Any] = {}
    for base in own.pop("defaults", []):
        merged |= _with_defaults(path.with_name(f"{base}.yaml"))
    return merged | {str(key): item for key, item in own.items()}


def options(group: str) -> list[str]:
    """The options of a choice: the names of the files in its folder."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def unknown_option(group: str, name: str) -> UserError:
    """The error for `group=name` when there is no such file."""
    return unknown(group, name, options(group), see="task=list")
