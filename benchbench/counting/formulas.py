"""What every executed operator costs: one table, operator name to formula.

"FLOPs" is not a well-defined concept. Here a multiply-add is one operation, and only
convolutions and linear layers have any, as the papers count. An operator that is not in this
table is an error that names it, never a silent zero: add a row, with a test that derives it.

A formula may also give the operator's output, because the library's own shape inference
costs 230 us an operator on the `meta` device and an empty tensor 3 us. The tests compare
both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Role(Enum):
    """How an operator takes part in the ledgers."""

    FREE = "moves no data: a view, or memory left uninitialised"
    STARTS = "starts a kernel, even under ideal fusion"
    JOINS = "element-wise: under ideal fusion it joins the kernel of its latest operand"


class Formula(NamedTuple):
    """`output` makes the result from the arguments, None where torch must be asked (and may
    refuse); `multiply_adds` gets the arguments and the result."""

    role: Role
    output: Callable[..., Any] | None = None
    multiply_adds: Callable[..., int] | None = None


class Convolution(NamedTuple):
    """Arguments of `aten::convolution`; tensors are (N, C, *space)."""

    input: Tensor
    weight: Tensor  # (C_out, C_in / groups, *kernel); transposed: (C_in, C_out / groups, *kernel)
    bias: Tensor | None
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int


def convolution_output(*arguments: Any) -> Tensor | None:
    """(N, C_out, *space) with floor((in + 2 padding - dilated kernel) / stride) + 1 each."""
    conv = Convolution(*arguments)
    space = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, pad, dilation in zip(
            conv.input.shape[2:],
            conv.weight.shape[2:],
            conv.stride,
            conv.padding,
            conv.dilation,
            strict=False,
        )
    ]
    fits = conv.weight.shape[1] * conv.groups == conv.input.shape[1] and min(space) > 0
    if conv.transposed or not fits or conv.input.dim() != conv.weight.dim():
        return None
    _check_parameters(conv.input, conv.weight, conv.bias, outputs=conv.weight.shape[0])
    shape = (conv.input.shape[0], conv.weight.shape[0], *space)
    return _empty(conv.input, shape, channels_last(conv.input) or channels_last(conv.weight))


def channels_last(x: Tensor) -> bool:
    """Whether strides say (N, H, W, C); torch goes by them even where a size of 1 makes it moot."""
    if x.dim() != 4:
        return False
    least = 0
    for dim in (1, 3, 2, 0):
        size, stride = x.shape[dim], x.stride(dim)
        if stride < least or stride == 0 or (dim == 0 and least == x.stride(1)):
            return False
        least = stride * max(size, 1)
    return True


def _empty(x: Tensor, shape: Sequence[int], last: bool) -> Tensor:
    """A dense tensor of x's type, channels last or first."""
    if not last:
        return x.new_empty(shape)
    _, channels, height, width = shape
    strides = (height * width * channels, 1, width * channels, channels)
    return x.new_empty_strided(shape, strides)


def like(x: Tensor) -> Tensor:
    """A dense tensor of x's shape, with the dimensions in x's order in memory.

    `torch.empty_like` does this too, but on `meta` through Python and sympy.
    """
    strides = x.stride()
    if 0 in strides:
        return torch.empty_like(x)
    if x.untyped_storage().nbytes() == x.numel() * x.element_size():
        return x.new_empty_strided(x.shape, strides)
    order = sorted(range(x.dim()), key=lambda dim: -strides[dim])  # stable: ties as they stand
    dense = x.new_empty([x.shape[dim] for dim in order])
    return dense.permute([order.index(dim) for dim in range(x.dim())])


def convolution_multiply_adds(arguments: tuple[Any, ...], result: Tensor) -> int:
    """Every element of the result takes one filter: (N h_out w_out c2) (c1 / g) k_h k_w.

    In a transposed convolution every element of the input takes one instead.
    """
    conv = Convolution(*arguments)
    elements = conv.input if conv.transposed else result
    return elements.numel() * prod(conv.weight.shape[1:])


def linear_multiply_adds(arguments: tuple[Any, ...], result: Tensor) -> int:
    """(n, k) times (k, m) is n k m; the bias of `addmm` comes first and adds nothing."""
    left: Tensor = arguments[-2]
    return result.numel() * left.shape[1]


def _check_parameters(x: Tensor, weight: Tensor, bias: Tensor | None, *, outputs: int) -> None:
    """Refuse what torch refuses on a device, but not on `meta`.

    Raises:
        RuntimeError: the types differ, or the bias is not one number an output.
    """
    types = {tensor.dtype for tensor in (x, weight, bias) if tensor is not None}
    if len(types) > 1:
        names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in types))
        raise RuntimeError(f"input, weight and bias must be of one type, and are {names}")
    if bias is not None and bias.dim() == 1 and bias.shape[0] not in (outputs, 1):
        raise RuntimeError(f"a bias of shape {list(bias.shape)} does not fit {outputs} outputs")


def matrix_product_output(*arguments: Any, **_: Any) -> Tensor | None:
    """(n, k) times (k, m) is (n, m); for `addmm` the bias comes first."""
    left, right = arguments[-2:]
    bias = arguments[0] if len(arguments) == 3 else None
    if left.shape[1] != right.shape[0]:
        return None
    _check_parameters(left, right, bias, outputs=right.shape[1])
    result: Tensor = left.new_empty((left.shape[0], right.shape[1]))
    return result


def elementwise_output(*arguments: Any, **_: Any) -> Tensor | None:
    """Shape, type and layout of the first tensor, where the others broadcast into it."""
    first, *others = (x for x in arguments if isinstance(x, Tensor))
    # How an expanded operand's result is laid out is a story of its own: torch tells it.
    return like(first) if _fits_into(first, others) and 0 not in first.stride() else None


def in_place_output(*arguments: Any, **_: Any) -> Tensor | None:
    """The first tensor itself, where the others broadcast into it."""
    first, *others = (x for x in arguments if isinstance(x, Tensor))
    return first if _fits_into(first, others) else None


def _fits_into(first: Tensor, others: list[Tensor]) -> bool:
    """Whether the result of an operator on these is `first` but for its values."""
    # Whole numbers are promoted by division, mixed types by rules of their own: torch knows.
    if not first.is_floating_point():
        return False
    for other in others:
        if other.dtype != first.dtype or other.dim() > first.dim():
            return False
        sizes = zip(reversed(other.shape), reversed(first.shape), strict=False)
        if other.shape != first.shape and any(n not in (1, size) for n, size in sizes):
            return False
    return True


def batch_norm_output(x: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised tensor, and stand-ins for the two saved statistics, which nobody counts."""
    saved = x.new_empty((0,))
    return like(x), saved, saved


def max_pool_output(
    x: Tensor,
    kernel_size: list[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor] | None:
    """The pooled tensor and its indices, which nobody counts."""
    pooled = _pooled(x, kernel_size, stride, padding)
    if pooled is None or ceil_mode or set(dilation) != {1}:
        return None
    return pooled, torch.empty_strided(
        pooled.shape, pooled.stride(), dtype=torch.int64, device=pooled.device
    )


def average_pool_output(
    x: Tensor,
    kernel_size: list[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    *_: Any,
    **__: Any,
) -> Tensor | None:
    """The pooled tensor; padding and divisor change its values alone."""
    return None if ceil_mode else _pooled(x, kernel_size, stride, padding)


def _pooled(
    x: Tensor, kernel_size: list[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor | None:
    """(N, C, floor((h + 2 padding - kernel) / stride) + 1, same for w), laid out as x."""
    if x.dim() != 4 or any(2 * pad > min(kernel_size) for pad in padding):
        return None
    size = [
        (n + 2 * pad - kernel) // step + 1
        for n, kernel, step, pad in zip(
            x.shape[2:],
            [*kernel_size] * 2,
            [*(stride or kernel_size)] * 2,
            [*padding] * 2,
            strict=False,  # one number may stand for both dimensions
        )
    ]
    return _empty(x, (*x.shape[:2], *size), channels_last(x)) if min(size) > 0 else None


def concatenation_output(tensors: list[Tensor], dim: int = 0) -> Tensor | None:
    """The sizes along `dim` added up, for tensors that agree in all others."""
    first = tensors[0]
    if any(x.dtype != first.dtype or x.dim() != first.dim() for x in tensors):
        return None
    sizes = [list(tensor.shape) for tensor in tensors]
    total = sum(size.pop(dim) for size in sizes)
    if any(size != sizes[0] for size in sizes):
        return None
    shape = list(tensors[0].shape)
    shape[dim] = total
    return _empty(tensors[0], shape, all(map(channels_last, tensors)))


def clone_output(x: Tensor, *, memory_format: torch.memory_format | None = None) -> Tensor | None:
    """A copy, laid out as asked for."""
    if memory_format in (None, torch.preserve_format):
        return like(x)
    return x.new_empty(x.shape) if memory_format is torch.contiguous_format else None


def mean_output(
    x: Tensor, dims: list[int] | None = None, keepdim: bool = False, **changes: Any
) -> Tensor | None:
    """x without (or with size 1 in) the dimensions averaged over."""
    known = dims is not None and all(-x.dim() <= dim < x.dim() for dim in dims)
    if dims is None or not known or changes or not x.is_floating_point():
        return None
    averaged = {dim % x.dim() for dim in dims} or set(range(x.dim()))
    if dims and len(averaged) != len(dims):  # one of them twice
        return None
    if keepdim:
        return x.new_empty([1 if i in averaged else n for i, n in enumerate(x.shape)])
    return x.new_empty([n for i, n in enumerate(x.shape) if i not in averaged])


_FREE = "empty empty_like empty_strided new_empty new_empty_strided _unsafe_view _reshape_alias"
_STARTS = (
    "sum amax amin _softmax _log_softmax _adaptive_avg_pool2d "
    "adaptive_max_pool2d stack _to_copy constant_pad_nd reflection_pad2d "
    "replication_pad2d upsample_nearest2d upsample_bilinear2d"
)
_NORMS = (
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "native_layer_norm native_group_norm"
)
# Each also in place, under its name and an underscore.
_ELEMENTWISE = (
    "add sub rsub mul div neg abs square sqrt rsqrt reciprocal pow exp log sigmoid tanh erf relu "
    "hardtanh clamp clamp_min clamp_max leaky_relu elu gelu silu mish softplus hardswish "
    "hardsigmoid maximum minimum _prelu_kernel"
)

FORMULAS: dict[str, Formula] = {
    **{f"aten::{name}": Formula(Role.FREE) for name in _FREE.split()},
    **{f"aten::{name}": Formula(Role.STARTS) for name in _STARTS.split()},
    **{f"aten::{name}": Formula(Role.JOINS) for name in _NORMS.split()},
    **{f"aten::{name}": Formula(Role.JOINS, elementwise_output) for name in _ELEMENTWISE.split()},
    **{f"aten::{name}_": Formula(Role.JOINS, in_place_output) for name in _ELEMENTWISE.split()},
    "aten::native_batch_norm": Formula(Role.JOINS, batch_norm_output),
    "aten::max_pool2d_with_indices": Formula(Role.STARTS, max_pool_output),
    "aten::avg_pool2d": Formula(Role.STARTS, average_pool_output),
    "aten::cat": Formula(Role.STARTS, concatenation_output),
    "aten::clone": Formula(Role.STARTS, clone_output),
    "aten::mean": Formula(Role.STARTS, mean_output),
    "aten::convolution": Formula(Role.STARTS, convolution_output, convolution_multiply_adds),
    "aten::addmm": Formula(Role.STARTS, matrix_product_output, linear_multiply_adds),
    "aten::mm": Formula(Role.STARTS, matrix_product_output, linear_multiply_adds),
}


def formula(operator: torch._ops.OpOverload) -> Formula | None:
    """The formula of an operator, None where there is none. Views need no row: schemas tell."""
    found = FORMULAS.get(operator._schema.name)
    if found is None and operator.is_view:
        return Formula(Role.FREE)
    return found
