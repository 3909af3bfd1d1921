"""Which runtime executes which precision, on which device. No library is needed to know."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchbench.errors import UserError, unknown

if TYPE_CHECKING:
    from benchbench.config import Settings  # for its type alone: config imports this

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8")
SUPPORTED: dict[str, dict[str, tuple[str, ...]]] = {
    "eager": {"cpu": ("fp32", "bf16", "fp16"), "cuda": ("fp32", "tf32", "bf16", "fp16")},
    "compiled": {"cpu": ("fp32", "bf16", "fp16"), "cuda": ("fp32", "tf32", "bf16", "fp16")},
    "cuda_graph": {"cuda": ("fp32", "tf32", "bf16", "fp16")},
    # Its CPU kernels for half precision cast to fp32 and back: no precision of their own.
    "onnxruntime": {"cpu": ("fp32", "int8"), "cuda": ("fp32", "tf32", "fp16")},
    "openvino": {"cpu": ("fp32", "bf16", "fp16", "int8")},
}
OF_TORCH = ("eager", "compiled", "cuda_graph")  # they take tensors in the layout that is asked for
# What `pip install benchbench[EXTRA]` brings, by runtime: the extra, and what must be there.
EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "onnxruntime": ("onnx", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ("openvino", ("onnx", "onnxscript", "openvino")),
}
QUANTISER = ("onnx", ("onnxruntime",))  # of int8, whichever runtime executes it
PROVIDERS = {"cpu": ("auto", "cpu"), "cuda": ("auto", "cuda", "tensorrt")}  # of onnxruntime
OPTION_DEFAULTS: dict[str, Any] = {"autotune": False, "provider": "auto", "opset": 20}
RUNTIME_OPTIONS: dict[str, tuple[str, ...]] = {  # which of them a runtime reads
    "compiled": ("autotune",),
    "onnxruntime": ("provider", "opset"),
    "openvino": ("opset",),
}
OPSETS = range(18, 24)  # of ONNX: what torch's exporter writes as it is asked to
MEASURING = (
    *("profile", "rank", "accuracy", "agreement", "crosscheck", "selftest"),
    *("guidelines", "audit", "ablation", "explain", "scaling"),
)
COMPILERS = ("g++", "clang++", "c++")


def check_execution(settings: Settings) -> None:
    """Refuse what no runtime executes, and options that none would read.

    Raises:
        UserError: with the offending value, and what is supported instead.
    """
    if settings.task.name in MEASURING and settings.device.type in PROVIDERS:
        _check_execution(settings)


def _check_execution(settings: Settings) -> None:
    runtimes = settings.runtimes or [settings.runtime.name]
    precisions = settings.precisions or [settings.precision]
    for name, given, allowed in (
        ("runtime", runtimes, tuple(SUPPORTED)),
        ("precision", precisions, PRECISIONS),
    ):
        for value in given:
            if value not in allowed:
                raise unknown(name, value, allowed)
    if "tf32" in precisions and len(precisions) > 1:
        raise UserError("precisions: tf32 is a switch of a whole process, so it stands alone")
    for runtime in runtimes:
        for precision in precisions:
            _check_combination(runtime, settings.device.type, precision)
        _check_way(runtime, settings)
    _check_options(runtimes, settings)


def _check_combination(runtime: str, device: str, precision: str) -> None:
    by_device = SUPPORTED[runtime]
    if precision not in by_device.get(device, ()):
        raise UserError(
            f"runtime={runtime} device={device} precision={precision} is not supported; "
            f"{runtime} has {_listed(by_device)}; {precision} is had by {_runtimes_of(precision)}"
        )


def _check_way(runtime: str, settings: Settings) -> None:
    if runtime not in OF_TORCH and settings.layout != "contiguous":
        raise UserError(
            f"layout={settings.layout}: {runtime} lays tensors out by itself; "
            "allowed is contiguous, which is how it takes its input"
        )
    if runtime != "eager" and settings.mode == "train":
        raise UserError(f"mode=train runtime={runtime}: a step of training is measured in eager")


def _check_options(runtimes: Sequence[str], settings: Settings) -> None:
    device = settings.device.type
    given = {
        option: getattr(settings.runtime, option)
        for option, default in OPTION_DEFAULTS.items()
        if getattr(settings.runtime, option) != default
    }
    for option, value in given.items():
        readers = [name for name, options in RUNTIME_OPTIONS.items() if option in options]
        if not set(readers) & set(runtimes):
            what = f"runtime.{option}={str(value).lower()}"
            raise UserError(f"{what}: only {' and '.join(readers)} would read it")
    if settings.runtime.opset not in OPSETS:
        raise UserError(
            f"runtime.opset={settings.runtime.opset}: allowed are {OPSETS[0]} to {OPSETS[-1]}"
        )
    if settings.calibration is not None and "int8" not in (
        *settings.precisions,
        settings.precision,
    ):
        raise UserError(f"calibration={settings.calibration}: only precision=int8 would read it")
    if settings.runtime.provider not in PROVIDERS[device]:
        raise UserError(
            f"runtime.provider={settings.runtime.provider} device={device}: "
            f"allowed are {', '.join(PROVIDERS[device])}"
        )


def check_installed(settings: Settings) -> None:
    """Refuse a runtime whose libraries are missing, before anything is measured.

    Raises:
        UserError: with the command that installs them.
    """
    runtime = settings.runtime.name
    if runtime == "compiled" and settings.device.type == "cpu":
        if not any(map(shutil.which, COMPILERS)):
            raise UserError(f"runtime=compiled needs a C++ compiler: {' or '.join(COMPILERS)}")
        return
    needed: list[tuple[str, tuple[str, ...]]] = [EXTRAS[runtime]] if runtime in EXTRAS else []
    needed += [QUANTISER] if settings.precision == "int8" else []
    for extra, modules in needed:
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            raise UserError(
                f"runtime={runtime} precision={settings.precision} needs {', '.join(missing)}: "
                f"pip install 'benchbench[{extra}]'"
            )


def executes(runtime: str, settings: Settings, precision: str) -> bool:
    """Whether a runtime can be asked for it, be it installed or not."""
    return (
        precision in SUPPORTED[runtime].get(settings.device.type, ())
        and (settings.layout == "contiguous" or runtime in OF_TORCH)
        and (settings.mode != "train" or runtime == "eager")
    )


def installed_runtimes(settings: Settings, precision: str) -> list[str]:
    """The runtimes that execute a case of these settings here, by what is installed."""
    found = []
    for runtime in SUPPORTED:
        needed = EXTRAS[runtime][1] if runtime in EXTRAS else ()
        needed += QUANTISER[1] if precision == "int8" else ()
        on_cpu = settings.device.type == "cpu"
        compiles = runtime != "compiled" or not on_cpu or any(map(shutil.which, COMPILERS))
        there = all(find_spec(module) is not None for module in needed)
        if executes(runtime, settings, precision) and compiles and there:
            found.append(runtime)
    return found


def _listed(by_device: dict[str, tuple[str, ...]]) -> str:
    return ", and ".join(
        f"{', '.join(precisions)} on {device}" for device, precisions in by_device.items()
    )


def _runtimes_of(precision: str) -> str:
    found = [
        f"{runtime} on {device}"
        for runtime, by_device in SUPPORTED.items()
        for device, precisions in by_device.items()
        if precision in precisions
    ]
    return ", ".join(found)
