"""Multiply-adds as vector units execute them: channels come in whole vectors.

A convolution's channels per group, in and out, are rounded up to the device's vector block, as in
the blocked layouts of CPU runtimes. Two layers are known to be computed otherwise everywhere: a
depthwise one, whose vectors lie across groups, and the first one, whose input is an image.
"""

from __future__ import annotations

from collections.abc import Collection

from benchbench.counting.walk import Executed

VECTOR_BYTES = (("avx512f", 64), ("avx2", 32), ("sve", 32), ("asimd", 16))  # the widest first
NARROWEST = 16  # bytes: SSE and NEON
WARP = 32  # threads of a GPU that execute one instruction together
ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}
IMAGE_CHANNELS = 4  # at most


def vector_block(device: str, precision: str, cpu_flags: Collection[str]) -> int:
    """Elements that one instruction computes on: 16 of fp32 with AVX-512, a warp on a GPU."""
    if device != "cpu":
        return WARP
    width = next((size for flag, size in VECTOR_BYTES if flag in cpu_flags), NARROWEST)
    return width // ELEMENT_BYTES[precision]


def padded_multiply_adds(op: Executed, block: int) -> int:
    """The multiply-adds of an operator if its channels were filled up to whole blocks."""
    if not op.multiply_adds:
        return 0
    if op.convolution is not None:
        return _of_convolution(op, block)
    if op.operator in ("addmm", "mm"):
        outputs = op.result.shape[-1]
        inputs = op.multiply_adds // op.result.numel()
        rows = op.result.numel() // outputs
        return rows * _up(inputs, block) * _up(outputs, block)
    return op.multiply_adds


def _of_convolution(op: Executed, block: int) -> int:
    assert op.convolution is not None
    conv = op.convolution
    groups = conv.groups
    inputs, outputs = conv.input.shape[1] // groups, op.result.shape[1] // groups
    work = op.multiply_adds // (groups * inputs * outputs)  # of one channel on another
    if inputs == 1 and groups > 1:
        return int(work * _up(groups * outputs, block))
    if groups == 1 and inputs <= IMAGE_CHANNELS:
        return int(work * inputs * _up(outputs, block))
    return int(work * groups * _up(inputs, block) * _up(outputs, block))


def _up(channels: int, block: int) -> int:
    return -(-channels // block) * block
