"""What devices this machine has."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

from benchbench.cases import Case
from benchbench.errors import UserError


def check_device(case: Case) -> None:
    """Refuse a device that is not here.

    Raises:
        UserError: no such GPU, or a PyTorch built without CUDA.
    """
    if case.device != "cuda":
        return
    import torch

    if not torch.backends.cuda.is_built():
        why = f"this PyTorch ({torch.__version__}) is built without CUDA"
    elif not torch.cuda.is_available():
        why = "PyTorch finds no usable GPU"
    elif case.device_index >= torch.cuda.device_count():
        why = f"there are {torch.cuda.device_count()} GPUs, device.index starts at 0"
    else:
        return
    raise UserError(f"device=cuda device.index={case.device_index}: {why}; device=cpu works")


def cpu_name() -> str:
    """The processor's model name: "Intel(R) Xeon(R) Processor"."""
    return cpu_info().get("model name") or platform.processor() or platform.machine()


@cache
def cpu_info() -> dict[str, str]:
    """What Linux tells of a core; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in fields}


@cache
def gpu_names() -> tuple[str, ...]:
    """NVIDIA GPUs that the driver shows, none without a driver.

    In its order, which CUDA_VISIBLE_DEVICES and CUDA's own may change: no index is given.
    Through NVML, because importing torch to list devices takes over a second.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
    except pynvml.NVMLError:
        return ()
