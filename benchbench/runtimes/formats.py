"""Element type and memory layout of a case, in torch's terms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from architectures.outputs import tensors_in
from benchbench.cases import Case

# What network and input are cast to: int8 is quantised from fp32, TF32 is how fp32 is multiplied.
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
}


def dtype(case: Case) -> torch.dtype:
    """The element type of a case's network and input: both are cast to it, nothing is autocast."""
    return DTYPES[case.precision]


def memory_format(case: Case) -> torch.memory_format:
    """How (N, C, H, W) lies in memory, for weights and input alike."""
    return torch.channels_last if case.layout == "channels_last" else torch.contiguous_format


def place(network: nn.Module, case: Case) -> nn.Module:
    """Cast a network's weights to the case's element type and layout, where they are."""
    # The library's own annotation of `to` leaves this documented argument out.
    return network.to(dtype=dtype(case), memory_format=memory_format(case))  # type: ignore[call-overload, no-any-return]


def feed(images: Tensor, case: Case) -> Tensor:
    """Images as the network of a case wants them: on its device, in its element type and layout."""
    return images.to(device=case.device_name, dtype=dtype(case), memory_format=memory_format(case))


def tensors_of(outputs: object) -> list[Tensor]:
    """Every tensor in what a network returns, in order: fp32, on the CPU."""
    return [tensor.detach().cpu().float() for tensor in tensors_in(outputs)]


def set_flags(case: Case) -> None:
    """Make fp32 mean fp32: cuDNN's own default is TF32, with 10 bits of mantissa."""
    allowed = case.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed
