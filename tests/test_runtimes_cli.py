"""Runtimes on the command line: measured, ranked, compared with eager before they are timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished

from benchbench.runtimes import equality

Cli = Callable[..., Finished]
QUICK = ("budget=quick", "budget.processes=1", "budget.seconds=0.2", "budget.warm_up_seconds=0.1")
# To export, quantise and compile four times what has but one layer takes seconds.
ONE_LAYER = (
    "_target_: torch.nn.Conv2d, resolution: 64, in_channels: 3, out_channels: 16, kernel_size: 3"
)
SMALL = ("resolution=64", "plots=false", "output=json", *QUICK)


@pytest.mark.extended
def test_one_command_measures_a_network_on_several_runtimes(cli: Cli) -> None:
    finished = cli(
        *("-m", "model=mobilenet_v3_small", "runtime=eager,onnxruntime,openvino"),
        *("profiler=[latency,memory]", *SMALL),
    )
    assert finished.code == 0, finished.err
    documents = [json.loads(line) for line in finished.out.splitlines()]
    assert [document["runtime"] for document in documents] == ["eager", "onnxruntime", "openvino"]
    for document in documents:
        metrics = document["metrics"]
        assert metrics["latency"]["value"] > 0
        assert metrics["peak_memory"]["value"] > 0
        if document["runtime"] == "eager":
            assert "preparation_time" not in metrics
            continue
        assert metrics["preparation_time"]["value"] > metrics["build_time"]["value"]
        assert metrics["preparation_memory"]["value"] > 0
        assert 0 < metrics["runtime_difference"]["value"] < 1e-4
        assert document["runtime_options"]["opset"] == 20
        assert document["runtime"] in document["environment"]["runtime"]
    assert len({document["environment"]["fingerprint"] for document in documents}) == 1


@pytest.mark.extended
def test_a_ranking_over_runtimes_and_precisions(cli: Cli) -> None:
    finished = cli(
        *("task=rank", f"models=[{{{ONE_LAYER}}}]", "runtimes=[onnxruntime,openvino]"),
        *("precisions=[fp32,int8]", "resolution=64", "output=json", *QUICK),
    )
    assert finished.code in (0, 3), finished.err  # one process decides nothing
    document = json.loads(finished.out)
    ways = {(row["runtime"], row["precision"]) for row in document["ranking"]}
    assert len(ways) == 4
    assert len(document["pairs"]) == 6
    bounds = {row["precision"]: row["over_bound"] for row in document["ranking"]}
    assert bounds["fp32"] > 1
    assert bounds["int8"] is None


def test_another_answer_is_an_error_with_the_figure_and_no_timing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A network that is another function in bf16."""
    (tmp_path / "moody.py").write_text(
        "import torch\n"
        "class Moody(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.mean((2, 3)) * (-1 if x.dtype == torch.bfloat16 else 1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    finished = cli(
        *("model._target_=moody.Moody", "model.resolution=32", "precision=bf16"),
        *("profiler=latency", "plots=false", *QUICK),
    )
    assert finished.code == 2
    assert finished.out == ""
    (line,) = finished.err.splitlines()
    assert "differ by 200 %" in line
    assert "model=Moody runtime=eager precision=bf16 does not compute what eager fp32 does" in line
    assert f"tolerated are {100 * equality.TOLERANCES['bf16']:g} %" in line
    assert not list(tmp_path.glob("results/**/*.sqlite"))
