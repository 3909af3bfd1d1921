"""Whether a runtime computes what eager fp32 computes: a fast wrong network is not a result."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import judged_input, make_input

if TYPE_CHECKING:
    from torch import Tensor

    from benchbench.runtimes.running import Prepared, Running

REFERENCE = "reference.pt"  # eager fp32's outputs, a list of tensors
# The limits are for mistakes, not for rounding: an unrelated answer is off by 1 or more. The worst
# seen: AmoebaNet-D, 0.34 in bf16 and 0.22 in fp16, other families 0.14 and 0.03; in int8, on noise,
# 0.33 (EfficientNet-B0, MobileNetV3); 3e-5 in fp32.
TOLERANCES = {"fp32": 1e-3, "tf32": 0.1, "bf16": 0.6, "fp16": 0.4, "int8": 0.6}


def keep_reference(outputs: list[Tensor], folder: Path) -> None:
    """Leave eager fp32's answer where the other runtimes find it."""
    import torch

    torch.save(outputs, folder / REFERENCE)


def difference(outputs: list[Tensor], reference: list[Tensor]) -> float:
    """The root mean square of the differences of all outputs, over that of the reference.

    Raises:
        ValueError: other shapes, or an output that is not finite.
    """
    import torch

    shapes = [[list(tensor.shape) for tensor in side] for side in (outputs, reference)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"its outputs have the shapes {shapes[0]} and not {shapes[1]}")
    ours, theirs = (
        torch.cat([tensor.flatten() for tensor in side]) for side in (outputs, reference)
    )
    if not ours.isfinite().all():
        raise ValueError(f"{int((~ours.isfinite()).sum())} of its outputs are not finite")
    size = theirs.double().square().mean().sqrt()
    error = (ours.double() - theirs.double()).square().mean().sqrt()
    return float(error / size if size > 0 else error)


def check_equality(prepared: Prepared, case: Case) -> float:
    """The difference from eager fp32, on what `judged_input` has.

    Raises:
        UserError: it is over the tolerance of the case's precision.
    """
    outputs = [out for images in judged_input(case) for out in prepared.outputs(images)]
    return _checked(outputs, _reference(case), case)


def check_copy(prepared: Prepared, case: Case) -> None:
    """Compare what is timed, a copy fed the case's own input, with eager fp32.

    Before the copy is called, whatever it does not hold is collected, and the memory that this
    frees is overwritten: a runtime that goes on reading it gives another answer. Nothing is done
    where a call is PyTorch's own, which holds its tensors. In int8 the answer that
    `check_equality` accepted takes eager's place, because eager answered other images.

    Raises:
        UserError: the difference is over the tolerance of the case's precision.
    """
    gc.freeze()  # the exporters' hundred thousands of objects would take a second to look through
    try:
        running = _copied(prepared)
        gc.collect()
    finally:
        gc.unfreeze()
    if running.written is None:
        return
    overwrite_freed(prepared.tensors())
    running.call()
    running.synchronise()
    is_int8 = case.precision == "int8"
    expected = prepared.outputs(make_input(case)) if is_int8 else _reference(case)
    _checked(running.written(), expected, case, " once it is copied for timing")


def overwrite_freed(tensors: Iterable[Tensor]) -> None:
    """Fill freed memory of these sizes with NaN: allocators hand it out before any other."""
    import torch

    taken = []
    for tensor in tensors:
        if tensor.is_floating_point():
            try:
                taken.append(torch.full_like(tensor, float("nan")))
            except RuntimeError:  # no memory is left, so nothing of this size is freed either
                return


def _reference(case: Case) -> list[Tensor]:
    import torch

    assert case.prepared is not None
    found: list[Tensor] = torch.load(Path(case.prepared) / REFERENCE, weights_only=True)
    return found


def _copied(prepared: Prepared) -> Running:
    try:
        return prepared.copied()
    except Exception:  # noqa: BLE001 - a network may forbid it in any way, and is timed as it is
        return prepared.running()


def _checked(outputs: list[Tensor], reference: list[Tensor], case: Case, when: str = "") -> float:
    tolerance = TOLERANCES[case.precision]
    what = f"model={case.name} runtime={case.runtime} precision={case.precision}{when}"
    try:
        found = difference(outputs, reference)
    except ValueError as error:
        raise UserError(f"{what} does not compute what eager fp32 does: {error}") from error
    if found > tolerance:
        raise UserError(
            f"{what} does not compute what eager fp32 does: its outputs differ by "
            f"{100 * found:.3g} % (root mean square); tolerated are {100 * tolerance:g} %"
        )
    return found
