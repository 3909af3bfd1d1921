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


def device_label(case: Case) -> str:
    """The name people know the device by: "Intel(R) Xeon(R) Processor", "NVIDIA H100 80GB HBM3"."""
    if case.device == "cpu":
        return cpu_name()
    names = gpu_names()
    return names[case.device_index] if case.device_index < len(names) else case.device_name


@cache
def cpu_name() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {key.strip(): value.strip() for key, value in fields.items()}
    return found.get("model name") or platform.processor() or platform.machine()


@cache
def gpu_names() -> tuple[str, ...]:
    """NVIDIA GPUs that the driver shows, in its order; none without a driver.

    Through NVML, because importing torch to list devices takes over a second.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
    except pynvml.NVMLError:
        return ()
