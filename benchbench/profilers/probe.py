"""A fixed piece of work timed beside the networks: what changes it is not the network."""

from __future__ import annotations

from collections.abc import Callable

from benchbench.cases import Case

SIDE = 256  # of the square matrices: 16.8 M multiply-adds, in the second-level cache
COPIED_BYTES = 2**22
REPEATS = 4


def control_probe(case: Case) -> Callable[[], object]:
    """One fixed GEMM and one fixed copy, in fp32, where the case runs."""
    import torch

    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(SIDE, SIDE, generator=generator) for _ in range(2)]
    left, right = (matrix.to(case.device_name) for matrix in matrices)
    source = torch.ones(COPIED_BYTES // 4, device=case.device_name)
    target, product = torch.empty_like(source), torch.empty_like(left)

    def probe() -> None:
        with torch.inference_mode():
            for _ in range(REPEATS):
                torch.mm(left, right, out=product)
            target.copy_(source)

    return probe
