"""The fingerprint of a measurement: machine, libraries and settings that change a figure.

Every probe that finds nothing gives None, never an error and never a guess.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchbench import __version__, cgroup
from benchbench.cases import Case
from benchbench.cores import BINDING_VARIABLES, cores, kinds, left_out
from benchbench.device import cpu_info, cpu_name
from benchbench.revision import own_revision
from benchbench.sensors import MEMORY_CLOCK, SM_CLOCK, ask, open_sensors
from benchbench.support import EXTRAS

PACKAGES = (
    "torch",
    "numpy",
    "fvcore",
    "memory-profiler",
    "pillow",
    "hydra-core",
    "SQLAlchemy",
    "safetensors",
)
# Vector and matrix extensions: the ones that kernels are chosen by.
CPU_FLAG_PREFIXES = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")
# Threads, kernels and, with MALLOC_, PYTORCH_ and LD_PRELOAD, which allocator and how it is tuned.
VARIABLE_PREFIXES = (
    *("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "DNNL_", "ONEDNN_", "CUDNN_"),
    *("MALLOC_", "PYTORCH_"),
)
VARIABLES = (
    *("LD_PRELOAD", "GLIBC_TUNABLES", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES"),
    *("CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
)
# Where code, weights and input came from does not say how fast they run here.
NOT_COMPARED = ("git", "network_git", "weights", "input", "lock", "left_out", "fingerprint")
# The machine's noise and roofs are the same for all of its runtimes.
NOT_IN_FINGERPRINT = (*NOT_COMPARED, "runtime")
MISSING = object()  # no value of a key, which is not the same as None


def machine_environment() -> dict[str, Any]:
    """What can be known without importing torch."""
    found = {
        "machine": _machine(),
        "python": platform.python_version(),
        "packages": {"benchbench": __version__} | {name: _version(name) for name in PACKAGES},
        "variables": _variables(),
        "git": own_revision(),
    }
    without = left_out()
    return found | {"left_out": without} if without else found


def torch_environment(case: Case) -> dict[str, Any]:
    """What only torch knows, taken in the process that measures."""
    import torch

    found: dict[str, Any] = {
        "torch": {
            "version": torch.__version__,
            "build": _digest(torch.__config__.show()),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }
    }
    runtime = runtime_environment(case)
    found |= {"runtime": runtime} if runtime else {}
    if case.device == "cuda":
        properties = torch.cuda.get_device_properties(case.device_index)
        found["gpu"] = {
            "name": properties.name,
            "memory_bytes": properties.total_memory,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        } | _nvml(str(properties.uuid))
    return found


def runtime_environment(case: Case) -> dict[str, str | None]:
    """The versions of what executes a case beside torch; nothing for torch's own runtimes."""
    return {name: _version(name) for name in EXTRAS.get(case.runtime, ("", ()))[1]}


def fingerprint(environment: Mapping[str, Any]) -> str:
    """A digest of everything in an environment that changes a figure."""
    return _digest(_text(_kept(environment, NOT_IN_FINGERPRINT)))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What makes two environments differ, a line a key: 'machine.cpu: "A" / "B"'.

    None if and only if the fingerprints are equal and so are the runtime's versions. Of two lists
    only what the other lacks is shown.
    """
    return list(_differences("", _kept(one, NOT_COMPARED), _kept(other, NOT_COMPARED)))


def _kept(environment: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    return {key: item for key, item in environment.items() if key not in left_out}


def _differences(key: str, one: Any, other: Any) -> Iterator[str]:
    """Compared as the text that is digested, in which 1 and 1.0 and true are three values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted({*one, *other}):
            inner = f"{key}.{name}" if key else name
            yield from _differences(inner, one.get(name, MISSING), other.get(name, MISSING))
    elif _text(one) != _text(other):
        ours, theirs = _without(one, other), _without(other, one)
        one, other = (ours, theirs) if ours or theirs else (one, other)  # else only their order
        yield f"{key}: {_text(one)} / {_text(other)}"


def _machine() -> dict[str, Any]:
    import psutil

    by_kind = kinds(cores())
    # Only where there are several: records of other machines keep their fingerprint.
    return ({"core_kinds": by_kind} if len(by_kind) > 1 else {}) | {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "cpu_flags": cpu_flags(),
        "logical_cores": psutil.cpu_count(logical=True),
        "physical_cores": psutil.cpu_count(logical=False),
        "affinity": cores(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo": _turbo(),
        "maximum_clock_khz": _read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"),
        "smt": _read("/sys/devices/system/cpu/smt/control"),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,  # its allocator and its mathematics
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "hypervisor": _read("/sys/hypervisor/type")
        or ("yes" if "hypervisor" in _all_cpu_flags() else None),
        "cpu_quota": cgroup.quota(cgroup.folders()),
    }


def _turbo(cores: Path = Path("/sys/devices/system/cpu")) -> str | None:
    """Whether the clock may rise above its nominal one: "on" or "off", as the driver tells it."""
    answers = {
        "intel_pstate/no_turbo": {"0": "on", "1": "off"},
        "cpufreq/boost": {"1": "on", "0": "off"},
    }
    told = (meaning.get(_read(str(cores / file)) or "") for file, meaning in answers.items())
    return next(filter(None, told), None)


def cpu_flags() -> list[str]:
    """What the processor can do that decides which kernels run."""
    return sorted(flag for flag in _all_cpu_flags() if flag.startswith(CPU_FLAG_PREFIXES))


def _all_cpu_flags() -> list[str]:
    return (cpu_info().get("flags") or cpu_info().get("Features") or "").split()


def _variables() -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if (name.startswith(VARIABLE_PREFIXES) or name in VARIABLES)
        and name not in BINDING_VARIABLES
    }


def _nvml(uuid: str) -> dict[str, Any]:
    """Driver and limits of the GPU with this UUID; what a driver does not tell is None."""
    import pynvml

    sensors = open_sensors(uuid)
    power = sensors.ask("nvmlDeviceGetPowerManagementLimit")  # milliwatts
    return {
        "driver": ask(pynvml, "nvmlSystemGetDriverVersion"),
        "power_limit_watts": power and power / 1000,
        "maximum_clock_mhz": sensors.ask("nvmlDeviceGetMaxClockInfo", SM_CLOCK),
        "maximum_memory_clock_mhz": sensors.ask("nvmlDeviceGetMaxClockInfo", MEMORY_CLOCK),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _text(value: Any) -> str:
    """A value as it is digested, the same whatever the order of its keys."""
    return json.dumps(value, sort_keys=True) if value is not MISSING else "missing"


def _without(one: Any, other: Any) -> list[Any]:
    """Of two lists what only the first one has; nothing of anything else."""
    both = isinstance(one, list) and isinstance(other, list)
    return [item for item in one if item not in other] if both else []


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
