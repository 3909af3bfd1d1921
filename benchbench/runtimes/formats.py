"""Element type and memory layout of a case, in torch's terms."""

from __future__ import annotations

import torch

from benchbench.cases import Case

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype(case: Case) -> torch.dtype:
    """The element type a case computes in: network and input are cast to it."""
    return DTYPES[case.precision]


def memory_format(case: Case) -> torch.memory_format:
    """How (N, C, H, W) lies in memory, for weights and input alike."""
    return torch.channels_last if case.layout == "channels_last" else torch.contiguous_format
