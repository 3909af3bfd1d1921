"""Hundreds of wrong command lines: a line that names the value, code 2, nothing run or left."""

from __future__ import annotations

import pickle
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from conftest import Finished

Cli = Callable[..., Finished]
Line = tuple[str, ...]  # the command line, then what its message must contain

NETWORK = "model=resnet50"
NOT_A_NUMBER = ("abc", "", "[1]", "{a:1}", "null")
INTEGERS = (
    *("batch_size", "seed", "crops", "device.index"),
    *("budget.processes", "budget.min_samples", "runtime.opset"),
)
FRACTIONS = (
    *("budget.seconds", "budget.warm_up_seconds", "budget.warm_up_limit_seconds"),
    *("scale.width", "scale.depth", "scale.resolution", "scale.phi", "largest_multiply_adds"),
)
BOOLEANS = ("plan", "debug", "force", "runtime.autotune", "profiler.latency", "profiler.memory")
CHOICES = (
    "precision",
    "layout",
    "cache",
    "mode",
    "output",
    "weights_format",
    "ablation",
    "threads",
)
GROUPS = ("task", "device", "runtime", "budget", "store")
EVERYTHING_ELSE = 10_000_000  # characters of a value that somebody pasted


def wrong_values() -> Iterator[Line]:
    """Every setting with values of another type, or out of its range."""
    for key, value in product(INTEGERS, (*NOT_A_NUMBER, "1.5", "1e400")):
        yield f"{NETWORK} {key}={value}", key
    for key, value in product(FRACTIONS, (*NOT_A_NUMBER, "nan", "-inf")):
        yield f"{NETWORK} {key}={value}", key
    for key, value in product(BOOLEANS, ("maybe", "[true]", "{a:1}", "1.5")):
        yield f"{NETWORK} {key}={value}", key
    for key, value in product(CHOICES, ("nosuch", "[a]", "{a:b}", "null", '""')):
        yield f"{NETWORK} {key}={value}", key
    for group, value in product(GROUPS, ("nosuch", "null", "3", "1.5", "true", "{a:1}")):
        yield f"{NETWORK} {group}={value}", group
    for value in ("abc", "1.5", "[1]", "-1", "0", "99999999999"):
        yield f"{NETWORK} resolution={value}", "resolution"


MEANT = (
    ("device=gpu", "cuda"),
    ("device=GPU", "cuda"),
    ("runtime=onnx", "onnxruntime"),
    ("runtime=torch", "eager"),
    ("runtime=inductor", "compiled"),
    ("runtime=cudagraph", "cuda_graph"),
    ("budget=fast", "quick"),
    ("budget=slow", "rigorous"),
    ("precision=float32", "fp32"),
    ("precision=half", "fp16"),
    ("precision=bfloat16", "bf16"),
    ("layout=nhwc", "channels_last"),
    ("mode=training", "train"),
    ("output=markdown", "table"),
    ("profiler=flops", "complexity"),
    ("task=benchmark", "profile"),
    ("mobilenet_v2", "say model=mobilenet_v2"),
    ("cuda", "say device=cuda"),
    ("onnxruntime", "say runtime=onnxruntime"),
    ("quick", "say budget=quick"),
    ("rank", "say task=rank"),
    ("batch_size", "say batch_size=VALUE"),
    ("eficientnet_b0", "close: efficientnet_b0"),
    ("--batch_size=2", "say batch_size=VALUE"),
    ("--device cuda", "say device=VALUE"),
    ("model=resnet5", "resnet50"),
    ("model=EfficientNet-B0", "task=list"),
    ("bacth_size=2", "close: batch_size"),
    ("budget.second=2", "budget.seconds"),
    ("device.id=1", "device.index"),
    ("precison=fp16", "close: precision"),
)
SYNTAX = (
    *("batch_size=(1", "batch_size=1)", "batch_size=]", "batch_size=}", "batch_size='1", 'x="1'),
    *(
        "=3",
        "==",
        "=",
        "+",
        "~",
        "++",
        "+++batch_size=2",
        "batch_size:2",
        "batch_size=2=3",
        "x[",
        "{",
    ),
    *("batch_size=${seed", "batch_size=${batch_size}", "batch_size=${nosuch}", "seed=${nosuch:1}"),
    *("seed=${oc.env:NOSUCH}", "seed=${hydra:nosuch}", "~nosuch", "~runtime.name"),
    *("+batch_size=2", "+nosuch=1", "++nosuch=1", "++budget.nosuch=1", "batch_size=1,2"),
    *("batch_size=range(1,3)", "batch_size=choice(1,2)", "device=cpu,cuda", "batch_size=glob(*)"),
    *("batch_size=sort(3,1)", "batch_size=shuffle(range(3))", "seed=interval(0,1)", "a b=1", "é=1"),
    *(
        "model=[resnet50,",
        "profiler=[latency",
        "models=[a,b",
        "guideline=[g1",
        "seed=0x",
        "seed=1_0_",
    ),
)
FLAGS = (
    *("--nosuch", "-x", "--cfg", "--cfg nosuch", "-c nosuch", "--info nosuch", "--resolve"),
    *("--config-dir", "--config-dir nosuch", "--config-name nosuch", "-cn nosuch", "--package"),
    *("--config-path /", "-cp pkg://json", "--experimental-rerun x", "--exp x", "--run --cfg job"),
    *("-m --cfg job", "--cfg job -p nosuch"),
)
CALL = "{_target_: os.mkdir, path: written}"
GLOBAL = "# @package _global_\nhydra:\n"
HYDRA = (
    *(f"+hydra.callbacks.x='{CALL}'", f"++hydra.callbacks.x='{CALL}'", f"hydra.callbacks='{CALL}'"),
    *(f"+hydra.callbacks='{{x: {CALL}}}'", f"++hydra='{{callbacks: {{x: {CALL}}}}}'"),
    *(
        "hydra.launcher._target_=os.mkdir",
        "hydra.sweeper._target_=os.mkdir",
        "hydra/launcher=basic",
    ),
    *("hydra/sweeper=basic", "hydra/job_logging=colorlog", "hydra/hydra_logging=none"),
    *("+hydra.job_logging.handlers.x='{(): os.mkdir, name: written}'", "hydra.job_logging=null"),
    *("hydra.run.dir=written", "hydra.output_subdir=written", "hydra.job.chdir=true"),
    *("hydra.sweep.dir=written", "hydra.sweep.subdir=written", "hydra.searchpath=[pkg://json]"),
    *("+hydra.job.env_set.PYTHONPATH=/tmp", "hydra.mode=MULTIRUN", "hydra.verbose=true"),
    *("+task@_global_.hydra.callbacks.x=rank", "+model@_global_.hydra.launcher=resnet50"),
    *("task@hydra.callbacks=rank", "+task@hydra=rank", "~hydra.callbacks", "~hydra"),
    *("+experiment@hydra.callbacks.x=rank", "hydra=null", "hydra.help.template=x"),
)
NETWORKS = (
    *(
        "model._target_=3",
        "model._target_=nosuch",
        "model._target_=nosuch.Net",
        "model._target_=..x",
    ),
    *("model._target_=torch.nn.Nosuch", "model._target_=os.system", "model._target_=os.mkdir"),
    *("model._target_=torch.nn.functional.relu", "model._target_=torch.nn", "model._target_=[a]"),
    *("model._target_={a:b}", "model._target_=pathlib.Path", "model._target_=subprocess.Popen"),
    *("model._target_=builtins.exec", "model.resolution=abc", "model.resolution=0"),
    *("model.resolution=1.5", "model.resolution=[64]", "model.preprocessing=nosuch"),
    *("model.width=2", "+model.nosuch=1", "+model._partial_=true", "+model._args_=[1]"),
    *(f"+model.rep='{CALL}'", "+model.num_classes=-1", "+model.num_classes=abc"),
    *("+model.num_classes=null", "+model.num_classes=[1]", "+model.num_classes=1.5"),
)
SEVERAL = (
    *("models=[]", "models=[resnet50]", "models=[resnet50,nosuch]", "models=[resnet50,resnet50]"),
    *("models=[glob(nosuch*)]", "models=resnet50", "models=3", "models={a:b}", "models=null"),
    *("models=[3,4]", "models=[[resnet50]]", f"models='[{CALL}]'", "models=[{a:b},{c:d}]"),
    *("'models=[resnet50,{_target_: os.mkdir, path: written}]'", "models=[null,resnet50]"),
    *("models=[resnet50,resnet18] runtimes=[nosuch]", "models=[resnet50,resnet18] runtimes=3"),
    *("models=[resnet50,resnet18] precisions=[nosuch]", "models=[resnet50] runtimes=[eager,eager]"),
)
GUIDELINES = (
    *("guideline=g5", "guideline=[g1,g5]", "guideline=3", "guideline.g1=3", "ladders=[nosuch]"),
    *("ladders=3", "ladders=[verdict,3]", "task.rule.processes=abc", "task.rule.nosuch=1"),
    *("resolution=7", "weights=x", "mode=train"),
)
HOSTILE = (
    *("tag\x1b[31m=1", "\x1b]0;title\x07", "batch_size=\x1b[2J", "model=\u202egnp.exe", "x=\u2028"),
    *("model=res\rnet", "task=a\nb", "device=\x00gpu", "budget=\x9b31m", "runtime=\u200b"),
)


def lines() -> Iterator[Line]:
    yield from wrong_values()
    yield from ((f"{NETWORK} {line}", part) for line, part in MEANT)
    yield from ((f"{NETWORK} {shlex.quote(line)}",) for line in SYNTAX)
    yield from ((f"{NETWORK} {line}",) for line in (*FLAGS, *HYDRA, *NETWORKS))
    yield from ((f"{NETWORK} plan=true {line}", "hydra") for line in HYDRA[:6])
    yield from ((f"task=rank {line}",) for line in SEVERAL)
    yield from ((f"task=guidelines {line}",) for line in GUIDELINES)
    yield from ((f"{NETWORK} {shlex.quote(line)}",) for line in HOSTILE)


LINES = list(lines())


def assert_refused(finished: Finished, *parts: str) -> None:
    assert (finished.code, finished.out) == (2, ""), finished.err
    assert len(finished.err.splitlines()) == 1
    assert finished.err.removesuffix("\n").isprintable()
    assert len(finished.err) < 3000
    assert "Traceback" not in finished.err
    for part in parts:
        assert part in finished.err
    assert not list(Path().iterdir())


def test_there_are_enough_of_them() -> None:
    assert len(LINES) == len(set(LINES)) >= 300


@pytest.mark.parametrize("line", LINES, ids=[line[0][:60] for line in LINES])
def test_a_wrong_command_line_is_refused(cli: Cli, line: Line) -> None:
    """The message names what is wrong: a word of what was typed stands in it."""
    text, *parts = line
    finished = cli(*shlex.split(text))
    assert_refused(finished, *parts)
    words = re.findall(r"\w{2,}", " ".join(shlex.split(text.removeprefix(NETWORK))))
    assert not words or any(word in finished.err for word in words)


@pytest.mark.parametrize(
    "before",
    ["model=", "tag\u0020=", "batch_size=", "", "--", "model._target_=a.", "x[", "device="],
)
def test_a_pasted_text_is_not_printed_whole(cli: Cli, before: str) -> None:
    assert_refused(cli(NETWORK, before + "a" * EVERYTHING_ELSE), "characters left out")


class Payload:
    """What makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (Path("written").absolute(),)


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--experimental", "--exp"])
def test_a_pickled_job_is_never_read(
    cli: Cli, tmp_path_factory: pytest.TempPathFactory, flag: str
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "config.pickle"
    file.write_bytes(pickle.dumps(Payload()))
    assert_refused(cli(flag, str(file)), str(file))


CONFIGURATIONS = {
    "callback": f"{GLOBAL}  callbacks:\n    x: {CALL}\n",
    "callback package": "# @package hydra.callbacks.x\n_target_: os.mkdir\npath: written\n",
    "logging": "# @package hydra.job_logging.formatters.simple\n(): os.mkdir\npath: written\n",
    "handler": "# @package hydra.hydra_logging\nhandlers:\n  x: {(): os.mkdir, path: written}\n",
    "launcher": "# @package hydra.launcher\n_target_: os.mkdir\n",
    "environment": f"{GLOBAL}  job:\n    env_set:\n      PYTHONPATH: written\n",
    "folder": f"{GLOBAL}  run:\n    dir: written\n",
    "aliases": "\n".join(
        ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    ),
    "holds itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 100_000,
    "no YAML": "a: [\n",
    "a tab": "a:\n\t- b\n",
    "a list": "- a\n- b\n",
    "unknown key": "# @package _global_\nnosuch: 1\n",
    "an object": "a: !!python/object/apply:os.mkdir [written]\n",
    "large": "a: " + "x" * 2**21,
}


@pytest.mark.parametrize("arguments", ["plan=true", "--cfg job", "-m"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_folder_runs_nothing(
    cli: Cli, tmp_path_factory: pytest.TempPathFactory, name: str, arguments: str
) -> None:
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "task").mkdir()
    (folder / "task" / "theirs.yaml").write_text(CONFIGURATIONS[name])
    finished = cli(f"--config-dir={folder}", NETWORK, "task=theirs", *arguments.split())
    if name in ("unknown key", "a list") and arguments == "--cfg job":
        return  # it is shown, and nothing of it is run
    assert_refused(finished)


def test_a_name_with_a_dot_has_the_same_bound(
    cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "model").mkdir()
    (folder / "model" / "a.b.yaml").write_text(CONFIGURATIONS["aliases"])
    assert_refused(cli(f"--config-dir={folder}", "model=a.b", "plan=true"), "aliases")


def test_a_configuration_folder_may_bring_a_network(
    cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "model").mkdir()
    (folder / "model" / "mine.yaml").write_text(
        "_target_: architectures.resnet.ResNet\nresolution: 64\npreprocessing: torchvision\n"
    )
    finished = cli(f"--config-dir={folder}", "model=mine", "profiler=complexity", "output=json")
    assert finished.code == 0, finished.err
    assert finished.document["model"] == "mine"
    assert f"--config-dir {folder}" in finished.document["command"]
