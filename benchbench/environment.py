"""The fingerprint of a measurement: machine, libraries and settings that change a figure.

Every probe that finds nothing gives None, never an error and never a guess.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchbench import __version__
from benchbench.cases import Case, cores
from benchbench.device import cpu_info, cpu_name
from benchbench.sensors import SM_CLOCK, ask, open_sensors

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
VARIABLE_PREFIXES = ("OMP_", "MKL_", "KMP_", "GOMP_", "DNNL_", "ONEDNN_", "MALLOC_", "PYTORCH_")
VARIABLES = ("LD_PRELOAD", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG")
# Where code and weights came from does not say how fast they run here.
NOT_IN_FINGERPRINT = ("git", "weights", "fingerprint")


def machine_environment() -> dict[str, Any]:
    """What can be known without importing torch."""
    return {
        "machine": _machine(),
        "python": platform.python_version(),
        "packages": {"benchbench": __version__} | {name: _version(name) for name in PACKAGES},
        "variables": _variables(),
        "git": _git(),
    }


def torch_environment(case: Case) -> dict[str, Any]:
    """What only torch knows, taken in the process that measures."""
    import torch

    found: dict[str, Any] = {
        "torch": {
            "version": torch.__version__,
            "build": _digest(torch.__config__.show()),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
        }
    }
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


def fingerprint(environment: Mapping[str, Any]) -> str:
    """A digest of everything in an environment that changes a figure."""
    kept = {key: item for key, item in environment.items() if key not in NOT_IN_FINGERPRINT}
    return _digest(json.dumps(kept, sort_keys=True))


def _machine() -> dict[str, Any]:
    import psutil

    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "cpu_flags": _cpu_flags(),
        "logical_cores": psutil.cpu_count(logical=True),
        "physical_cores": psutil.cpu_count(logical=False),
        "affinity": cores(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read("/sys/devices/system/cpu/smt/control"),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "hypervisor": _read("/sys/hypervisor/type")
        or ("yes" if "hypervisor" in _all_cpu_flags() else None),
        "cpu_quota": _read("/sys/fs/cgroup/cpu.max"),
    }


def _cpu_flags() -> list[str]:
    return sorted(flag for flag in _all_cpu_flags() if flag.startswith(CPU_FLAG_PREFIXES))


def _all_cpu_flags() -> list[str]:
    return (cpu_info().get("flags") or cpu_info().get("Features") or "").split()


def _variables() -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(VARIABLE_PREFIXES) or name in VARIABLES
    }


def _git() -> dict[str, Any] | None:
    """Commit and state of the working folder, where one's own networks live."""
    commit = _command("git", "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "dirty": bool(_command("git", "status", "--porcelain"))}


def _command(*words: str) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _nvml(uuid: str) -> dict[str, Any]:
    """Driver and limits of the GPU with this UUID; what a driver does not tell is None."""
    import pynvml

    sensors = open_sensors(uuid)
    power = sensors.ask("nvmlDeviceGetPowerManagementLimit")  # milliwatts
    return {
        "driver": ask(pynvml, "nvmlSystemGetDriverVersion"),
        "power_limit_watts": power and power / 1000,
        "maximum_clock_mhz": sensors.ask("nvmlDeviceGetMaxClockInfo", SM_CLOCK),
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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
