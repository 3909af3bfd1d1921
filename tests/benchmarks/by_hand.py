"""One replicate, in a process of its own: our runtimes and hand-written scripts, in turn.

    PYTHONPATH=tests python tests/benchmarks/by_hand.py \\
        '{"network": "mobilenet_v2", "runtimes": ["onnxruntime"], "seed": 0, "folder": "..."}'

prints one JSON document. The hand-written ones are what each runtime's own introduction shows, told
to use one thread; both have the same weights and input, and are timed by the same code.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchbench.cases import Case, from_settings
from benchbench.config import BudgetSettings, RuntimeSettings, Settings, model_settings
from benchbench.measurements import Measurement
from benchbench.networks import build
from benchbench.profilers import latency as module
from benchbench.profilers.beat import Beat
from benchbench.rounds import log_ratios
from benchbench.runtimes.ahead import make
from benchbench.runtimes.running import Prepared, Running
from benchbench.runtimes.running import prepare as ours
from benchbench.worker import pin

BY_HAND = " by hand"
BUDGET = BudgetSettings(seconds=1.5, warm_up_seconds=0.5, warm_up_limit_seconds=3.0)


class Written(NamedTuple):
    """A script's own session of a case, where our timing expects a prepared case."""

    case: Case
    session: Callable[[], Callable[[], object]]  # opens one; gives its call

    def running(self) -> Running:
        return Running(self.session(), lambda: None)

    copied = running

    def activations(self) -> dict[str, Any]:
        return {"problems": []}


def onnxruntime_by_hand(network: Any, images: Any, folder: Path) -> Callable[[], object]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(exported(network, images, folder), options)
    feed = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, feed)


def openvino_by_hand(network: Any, images: Any, folder: Path) -> Callable[[], object]:
    import openvino

    model = openvino.convert_model(exported(network, images, folder))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.compile_model(model, "CPU", settings)
    feed = images.numpy()
    return lambda: compiled(feed)


def compiled_by_hand(network: Any, images: Any, folder: Path) -> Callable[[], object]:
    import torch
    from torch._inductor import config

    config.freezing = True
    compiled = torch.compile(network)

    def call() -> object:
        with torch.inference_mode():
            return compiled(images)

    call()
    return call


def exported(network: Any, images: Any, folder: Path) -> Path:
    """The network's graph, written once for all replicates."""
    import torch

    path = folder / "by_hand.onnx"
    if not path.exists():
        torch.onnx.export(network, (images,), path, dynamo=True, external_data=False)
    return path


WAYS = {
    "onnxruntime": onnxruntime_by_hand,
    "openvino": openvino_by_hand,
    "compiled": compiled_by_hand,
}


def prepare(case: Case) -> Prepared:
    """Our way, or for a case that is named so the hand-written one."""
    if not case.name.endswith(BY_HAND):
        return ours(case)
    from benchbench.inputs import make_input

    network, images = build(case, "cpu"), make_input(case)
    folder = Path(str(case.prepared)).parent
    if case.runtime == "compiled":  # it cannot be had anew in a moment, as ours cannot
        call = WAYS[case.runtime](network, images, folder)
        return Written(case, lambda: call)  # type: ignore[return-value]
    return Written(case, lambda: WAYS[case.runtime](network, images.clone(), folder))  # type: ignore[return-value]


def cases_of(network: str, runtimes: list[str], folder: Path) -> list[Case]:
    """Ours and the hand-written one of each runtime, each prepared in the folder before."""
    found = []
    for runtime in runtimes:
        settings = Settings(model=model_settings(network), runtime=RuntimeSettings(name=runtime))
        prepared = folder / runtime
        case = replace(from_settings(settings, network), prepared=str(prepared))
        if not prepared.exists():
            prepared.mkdir()
            make(case, prepared)
        found += [case, replace(case, name=network + BY_HAND)]
    return found


def main(settings: dict[str, Any]) -> dict[str, Any]:
    import torch

    folder = Path(settings["folder"])
    torch.set_num_threads(1)
    cases = cases_of(settings["network"], settings["runtimes"], folder)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled" / "inductor")
    pin(cases[0])
    importlib.import_module(module.__name__).prepare = prepare  # type: ignore[attr-defined]
    beat: Beat = lambda _: True  # noqa: E731
    latencies: dict[int, Measurement] = {}
    for index, found in module.latency(cases, BUDGET, beat, settings["seed"]):
        latencies[index] = found
    return {
        runtime: {
            "log_ratio": log_ratios(latencies[2 * number], latencies[2 * number + 1])[0],
            "ours": latencies[2 * number].value,
            "by_hand": latencies[2 * number + 1].value,
        }
        for number, runtime in enumerate(settings["runtimes"])
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    print(json.dumps(main(json.loads(sys.argv[1]))))
