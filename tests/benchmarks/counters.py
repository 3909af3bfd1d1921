"""One counter over several networks, in a process of its own.

    PYTHONPATH=tests python tests/benchmarks/counters.py ours efficientnet_b0 resnet50

prints one JSON document: seconds and multiply-adds of each network, and the process's peak of
resident memory. A network's time is from its class to its total: building included.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from variants import NAMES, variant

from benchbench.cases import Case
from benchbench.networks import build

if TYPE_CHECKING:
    from torch import nn

Counter = Callable[[Case], int]
KIBIBYTE = 1024


def ours() -> Counter:
    """Parameters, multiply-adds, activations, launches and the three ledgers of memory access."""
    from benchbench.profilers.complexity import complexity

    return lambda case: complexity(case).multiply_adds


def fvcore() -> Counter:
    """FLOPs as it counts them: convolutions, linear layers and batch norms, by tracing."""
    import logging

    from fvcore.nn import FlopCountAnalysis

    from benchbench.inputs import make_input

    logging.getLogger("fvcore").setLevel(logging.ERROR)

    def count(case: Case) -> int:
        analysis = FlopCountAnalysis(build(case, "cpu"), make_input(case))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return int(analysis.total())

    return count


def ptflops() -> Counter:
    """Multiply-adds as it counts them: norms, activations and poolings too, by hooks."""
    from references import import_torchvision

    import_torchvision()  # ptflops imports torchvision
    from ptflops import get_model_complexity_info

    def count(case: Case) -> int:
        network = build(case, "cpu")
        macs, _ = get_model_complexity_info(
            network,
            case.input_shape[1:],
            as_strings=False,
            print_per_layer_stat=False,
            backend="pytorch",
            custom_modules_hooks=inherited_hooks(network),
        )
        return int(macs)

    return count


def inherited_hooks(network: nn.Module) -> dict[type, Any]:
    """Hooks for classes of ours that inherit from torch's: ptflops goes by the exact class."""
    from ptflops.pytorch_ops import MODULES_MAPPING

    hooks: dict[type, Any] = {}
    for kind in {type(module) for module in network.modules()} - set(MODULES_MAPPING):
        base = next((base for base in kind.__mro__ if base in MODULES_MAPPING), None)
        if base is not None:
            hooks[kind] = MODULES_MAPPING[base]
    return hooks


COUNTERS: dict[str, Callable[[], Counter]] = {"ours": ours, "fvcore": fvcore, "ptflops": ptflops}


def main() -> None:
    started = perf_counter()
    import torch

    imported = perf_counter()
    torch.set_num_threads(1)
    cases = [variant(name) for name in sys.argv[2:] or NAMES]
    composed = perf_counter()
    warnings.simplefilter("ignore")
    count = COUNTERS[sys.argv[1]]()
    networks: dict[str, Any] = {}
    for case in cases:
        before = perf_counter()
        total = count(case)
        networks[case.name] = {"seconds": perf_counter() - before, "multiply_adds": total}
    document = {
        "networks": networks,
        "import_seconds": imported - started,
        "configuration_seconds": composed - imported,
        "counting_seconds": perf_counter() - composed,
        # The kernel's own mark; Linux gives it in KiB.
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
