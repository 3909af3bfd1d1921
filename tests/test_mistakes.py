"""What people get wrong: one line on stderr, exit code 2, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished

Cli = Callable[..., Finished]

MISTAKES = {
    "model=eficientnet_b0": ["eficientnet_b0", "efficientnet_b0", "task=list shows all"],
    "model=resnet50 bach_size=2": ["bach_size", "batch_size"],
    "model=resnet50 budget.secs=2": ["budget.secs", "budget.seconds"],
    "model=resnet50 model.width=2": ["model.width", "+model.width"],
    "model=resnet50 +model.lite=true": ["lite", "allowed: bottleneck, depth, num_classes, rep"],
    "model=resnet50 batch_size=many": ["batch_size", "many", "Integer"],
    "model=resnet50 batch_size=0": ["batch_size=0", "at least 1"],
    "model=resnet50 seed=-1": ["seed=-1", "at least 0"],
    "model=resnet50 seed=18446744073709551616": ["seed=18446744073709551616", "at most"],
    "model=resnet50 +batchsize=8": ["batchsize", "batch_size"],
    "model=resnet50 ++device.indx=1": ["device.indx", "device.index"],
    "model=resnet50 precision=3": ["precision=3", "fp32, tf32, bf16, fp16, int8"],
    "model=resnet50 layout=1": ["layout=1", "contiguous, channels_last"],
    "model=resnet50 results=": ["results=", "empty"],
    "model=resnet50 input=": ["input=", "empty"],
    "model=resnet50 input=~nobodyatall/x.png": ["~nobodyatall/x.png"],
    "model=resnet50 labels=x": ["labels=x", "task=accuracy"],
    "model=resnet50 profiler.accuracy=true": ["profiler.accuracy", "task=accuracy"],
    "model=resnet50 store.url=sqlite://": ["store.url", "memory"],
    "model=resnet50 batch_size=${nosuch}": ["nosuch"],
    "model=resnet50,mobilenet_v2": ["model=resnet50,mobilenet_v2", "--multirun"],
    "model=null": ["model", "task=list"],
    "-m model=resnet50,null": ["null", "task=list"],
    "model=efficientnet_b0 +model.num_classes=abc": ["num_classes=abc", "greater than 0"],
    "model=resnet50 results=/proc/x": ["results=/proc/x", "cannot be written"],
    "device=null": ["device", "cpu, cuda"],
    "model=nosuché": ["nosuché"],
    "model=efficientnet_b0 +model.width=0": ["width=0", "greater than 0"],
    "model=resnet50 +model.num_classes=-5": ["num_classes=-5", "greater than 0"],
    "model=resnet50 threads=none": ["threads=none", "all"],
    "model=resnet50 threads=0": ["threads=0", "all"],
    "model=resnet50 output=xml": ["output=xml", "table, json, csv"],
    "model=resnet50 precision=int8": [
        *("runtime=eager device=cpu precision=int8", "eager has fp32, bf16, fp16 on cpu"),
        "int8 is had by onnxruntime on cpu, openvino on cpu",
    ],
    "model=resnet50 precision=tf32": ["precision=tf32", "tf32 is had by eager on cuda"],
    "model=resnet50 runtime=cuda_graph": [
        *("runtime=cuda_graph device=cpu", "cuda_graph has fp32, tf32, bf16, fp16 on cuda"),
    ],
    "model=resnet50 device=cuda precision=int8": ["runtime=eager device=cuda", "openvino on cpu"],
    "model=resnet50 runtime=openvino device=cuda": ["device=cuda", "openvino has fp32, bf16"],
    "model=resnet50 runtime=onnxruntime layout=channels_last": ["layout=channels_last", "contig"],
    "model=resnet50 runtime=compiled mode=train": ["mode=train", "runtime=compiled", "eager"],
    "model=resnet50 runtime=onnxruntime runtime.opset=3": ["runtime.opset=3", "18 to 23"],
    "model=resnet50 calibration=photos": ["calibration=photos", "only precision=int8"],
    "model=resnet50 runtime=openvino precision=int8 calibration=nowhere": [
        *("calibration=nowhere", "No such file"),
    ],
    "model=resnet50 runtime.autotune=true": ["runtime.autotune=true", "only compiled"],
    "model=resnet50 runtime=onnxruntime runtime.provider=cuda": ["provider=cuda", "auto, cpu"],
    "model=resnet50 runtime=tvm": ["tvm", "compiled, cuda_graph, eager, onnxruntime, openvino"],
    "model=resnet50 runtimes=[eager]": ["runtimes=", "only task=rank"],
    "task=guidelines profiler=complexity": [
        *("profiler: only task=profile", "task=audit", "task=scaling"),
    ],
    "task=guidelines runtime=compiled runtimes=[eager]": [
        *("runtime=compiled", "runtimes=eager", "one of the two"),
    ],
    "task=guidelines precision=bf16 precisions=[fp32]": ["precision=bf16", "precisions=fp32"],
    "model=resnet50 largest_multiply_adds=5": ["largest_multiply_adds=5", "only task=explain"],
    "task=explain model=resnet50": ["models=[...]", "not model="],
    "task=explain largest_multiply_adds=0": ["largest_multiply_adds=0", "above 0"],
    "task=rank models=[resnet50] runtimes=[eager,eager]": ["runtimes: eager stands there twice"],
    "task=rank models=[resnet50,resnet18] runtimes=[eager,tvm]": ["'tvm'", "allowed"],
    "task=rank models=[resnet50] precisions=[fp32,int8]": ["precision=int8", "eager has"],
    "model=resnet50 calibration=": ["calibration=", "empty"],
    "model=resnet50 device=tpu": ["tpu", "cpu, cuda"],
    "model=resnet50 device.type=tpu": ["tpu", "cpu, cuda"],
    "model=resnet50 device.index=-1": ["device.index=-1", "at least 0"],
    "model=resnet50 profiler=nosuch": ["nosuch", "complexity, default"],
    "model=resnet50 budget=long": ["long", "quick, rigorous, standard"],
    "model=resnet50 budget.seconds=nan": ["budget.seconds=nan"],
    "model=resnet50 task=nosuch": ["nosuch", "crosscheck, ", "profile, rank, "],
    "model=resnet50 resolution=31": ["resolution=31", "32"],
    "model=resnet50 input=nosuch.jpg": ["nosuch.jpg", "No such file"],
    "model=resnet50 input=text.jpg": ["text.jpg", "not an image"],
    "model=resnet50 results=text.jpg": ["text.jpg"],
    "model=resnet50 store.url=sqlite:////dev/null/x.sqlite": ["/dev/null"],
    "-m model=resnet50 results=text.jpg": ["text.jpg"],
    "-m model=resnet50,nosuch": ["nosuch"],
    "-m model=glob(nosuch*)": ["glob(nosuch*)", "matches nothing"],
    "model._target_=pathlib.Path model.resolution=9": ["pathlib.Path", "nn.Module"],
    "model._target_=torch.nn.ReLU": ["model.resolution=None"],
    "task=rank": ["models=[]", "at least two", "task=list"],
    "task=rank models=[resnet50]": ["models=[resnet50]", "at least two"],
    "task=rank models=[resnet50,resnet51]": ["resnet51", "close: resnet50"],
    "task=rank models=[resnet50,resnet50]": ["resnet50", "twice"],
    "task=rank model=resnet50 models=[resnet18,resnet50]": ["models=", "model="],
    "task=selftest model=resnet50": ["task=selftest", "model="],
    "model=resnet50 models=[resnet18]": ["models=", "task=rank"],
    "model=resnet50 records=x": ["records=x", "task=rank"],
    "model=resnet50 baseline=x": ["baseline=x", "task=compare"],
    "model=resnet50 force=true": ["force=True", "task=compare"],
    "task=compare": ["baseline=null", "baseline=TAG"],
    "task=compare baseline=x": ["candidate=null", "candidate=TAG"],
    "task=compare baseline=text.jpg candidate=text.jpg": ["baseline=text.jpg", "output=json"],
    "model=resnet50 cache=hot": ["cache=hot", "warm, cold"],
    "model=resnet50 mode=eval": ["mode=eval", "inference, train"],
    "model=resnet50 budget.processes=0": ["budget.processes=0", "at least 1"],
    "": ["model=NAME", "task=list"],
    "task=crosscheck": ["model=NAME"],
    "model=resnet50 x[": ["x["],
    "--nosuch": ["--nosuch", "--help"],
    "mobilenet_v2": ["say model=mobilenet_v2"],
    "model=resnet50 device=gpu": ["'gpu'", "did you mean cuda?"],
    "model=resnet50 runtime=onnx": ["'onnx'", "did you mean onnxruntime?"],
    "model=resnet50 --batch_size=2": ["say batch_size=VALUE"],
    "model=resnet50 batch_size=${batch_size}": ["batch_size=${batch_size}: Recursive"],
    "model=resnet50 hydra.run.dir=x": ["hydra.run.dir=x", "results=FOLDER"],
    "model=resnet50 plan=true +hydra.callbacks.x._target_=os.abort": ["+hydra.callbacks.x"],
    "model=resnet50 +task@hydra.callbacks=rank": ["hydra.callbacks"],
    "--experimental-rerun job.pickle": ["--experimental-rerun job.pickle", "allowed"],
    "--config-path pkg://json model=resnet50": ["--config-path pkg://json", "--config-dir"],
    "--cfg nosuch": ["nosuch"],
    "--config-name nosuch": ["nosuch"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(cli: Cli, line: str) -> None:
    """Exit code 2, the offending value and the allowed ones, no traceback, no file."""
    Path("text.jpg").write_text("no picture")
    finished = cli(*line.split())
    assert finished.code == 2
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1
    assert "Traceback" not in finished.err
    for part in MISTAKES[line]:
        assert part in finished.err
    assert [path.name for path in Path().iterdir()] == ["text.jpg"]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("task=compare baseline=x candidate=y", "baseline=x: no file, record or tag"),
        ("task=rank records=x", "records=x: no record or tag"),
    ],
)
def test_what_is_not_there_is_no_evidence(cli: Cli, line: str, part: str) -> None:
    finished = cli(*line.split())
    assert (finished.code, finished.out) == (3, "")
    assert part in finished.err
    assert len(finished.err.splitlines()) == 1
    assert not list(Path().iterdir())


def test_no_gpu_here_names_the_way_out(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    finished = cli("model=resnet50", "device=cuda")
    assert (finished.code, finished.out) == (2, "")
    assert "device=cuda" in finished.err
    assert "device=cpu" in finished.err
    assert len(finished.err.splitlines()) == 1


def test_a_gpu_that_is_not_there_is_counted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert "there are 2 GPUs" in cli("model=resnet50", "device=cuda", "device.index=2").err
