"""The command line in process: documents, errors in one line, exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Finished
from hydra.core.override_parser.overrides_parser import OverridesParser
from variants import NAMES

from benchbench.commandline import Sweep, model_name, quote_free_text
from benchbench.config import hide_password, options
from benchbench.store import Store

Cli = Callable[..., Finished]
COUNT = ("profiler=complexity", "plots=false")


@pytest.mark.parametrize(
    "text",
    [
        *("1e5", "HEAD~1", "~/x.jpg", "x(1).jpg", "a=b", "it's", "a,b", "two words", "c:\\x"),
        *("back\\", "[x]", "{y}", "a\\'b", "${results}", "glob(*)", "né à 5€", "'", "0123", "true"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_free_text_reaches_the_program_as_typed(text: str, prefix: str) -> None:
    quoted = quote_free_text(f"{prefix}tag={text}")
    (override,) = OverridesParser.create().parse_overrides([quoted])
    value: Any = override.value()
    assert value.replace("\\${", "${") == text  # OmegaConf takes this last backslash


@pytest.mark.parametrize("argument", ["tag=null", "tag='x'", "model=a,b", "--help", "batch_size=2"])
def test_everything_else_is_left_alone(argument: str) -> None:
    assert quote_free_text(argument) == argument


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ("glob(*)", ["glob(*)"]),
        ("[glob(*_r96)]", ["glob(*_r96)"]),
        ("[mobilenet_v2,glob(a*), glob(b?)]", ["mobilenet_v2", "glob(a*)", "glob(b?)"]),
        ("['glob(*)',resnet18]", ["glob(*)", "resnet18"]),
        ("[mobilenet_v2]", ["mobilenet_v2"]),
    ],
)
def test_globs_of_models_are_no_sweep(models: str, names: list[str]) -> None:
    quoted = quote_free_text(f"models={models}")
    (override,) = OverridesParser.create().parse_overrides([quoted])
    assert not override.is_sweep_override()
    assert [str(value) for value in override.value()] == names  # type: ignore[union-attr]


@pytest.mark.parametrize("tag", ["1e5", "${results}", "it's"])
def test_a_tag_is_stored_as_typed_and_repeated(cli: Cli, tag: str) -> None:
    document = cli("model=mobilenet_v2", f"tag={tag}", "output=json", *COUNT).document
    assert document["tag"] == tag
    assert document["command"].startswith("python -m benchbench model=mobilenet_v2 ")
    (stored,) = Store("sqlite:///results/benchbench.sqlite").records(tag=tag)
    assert stored.id == document["record"]


def test_the_document_of_counts(cli: Cli) -> None:
    """The contract's values for EfficientNet-B0, and nothing but the document on stdout."""
    finished = cli("model=efficientnet_b0", "device=cpu", "output=json", *COUNT)
    assert (finished.code, finished.err) == (0, "")
    document = finished.document
    expected = {
        "schema_version": 1,
        "task": "profile",
        "model": "efficientnet_b0",
        "runtime": "eager",
        "precision": "fp32",
        "batch_size": 1,
        "input_shape": [1, 3, 224, 224],
        "threads": 1,
    }
    assert {key: document[key] for key in expected} == expected
    assert document["device"]["type"] == "cpu"
    assert document["device"]["name"]
    metrics = document["metrics"]
    assert metrics["params"] == {"value": 5288548, "unit": ""}
    assert metrics["multiply_adds"] == {"value": 385814752, "unit": ""}
    assert metrics["memory_access_fused"]["unit"] == "B"
    assert document["quality"]["grade"] is None
    assert document["environment"]["machine"]["logical_cores"] >= 1
    assert sum(layer["multiply_adds"] for layer in document["layers"]) == 385814752


def test_a_sweep_goes_on_when_a_job_fails(cli: Cli) -> None:
    finished = cli("-m", "model=resnet50,mobilenet_v2", "resolution=31,64", "output=json", *COUNT)
    assert finished.code == 2
    documents = [json.loads(line) for line in finished.out.splitlines()]
    assert [(d["model"], d["input_shape"][2]) for d in documents] == [
        ("resnet50", 64),
        ("mobilenet_v2", 64),
    ]
    assert "2 of 4 jobs done" in finished.err.splitlines()[-1]
    assert len(Store("sqlite:///results/benchbench.sqlite").records()) == 2
    assert not list(Path("results").glob("runs/*")), "no pictures in a sweep"


def test_the_whole_zoo_by_a_pattern(cli: Cli) -> None:
    finished = cli("-m", "model=glob(mobilenet*)", "output=json", *COUNT)
    assert finished.code == 0
    found = [json.loads(line)["model"] for line in finished.out.splitlines()]
    assert found == [name for name in NAMES if name.startswith("mobilenet")]


def test_csv_of_a_sweep_is_one_table(cli: Cli) -> None:
    finished = cli("-m", "model=resnet50,mobilenet_v2", "resolution=64", "output=csv", *COUNT)
    rows = list(csv.DictReader(io.StringIO(finished.out)))
    assert [row["model"] for row in rows] == ["resnet50", "mobilenet_v2"]
    assert rows[1]["params"] == "3504872"
    assert rows[1]["latency_s"] == ""


def test_profilers_are_chosen_by_a_list(cli: Cli) -> None:
    finished = cli("model=resnet50", "profiler=[complexity,memory]", "plan=true", "output=json")
    assert finished.document["plan"][0]["profilers"] == ["complexity", "memory"]


def test_a_plan_runs_and_writes_nothing(cli: Cli) -> None:
    finished = cli("model=efficientnet_b7", "plan=true")
    assert finished.code == 0
    assert "efficientnet_b7" in finished.out
    assert not list(Path().iterdir())


def test_a_changed_network_is_not_called_by_its_variants_name(cli: Cli) -> None:
    document = cli(
        "model=mobilenet_v2", "+model.width=0.5", "resolution=64", "output=json", *COUNT
    ).document
    assert document["model"] == "mobilenet_v2[width=0.5]"
    assert document["metrics"]["params"]["value"] == 1968680  # the reference's x0_5
    assert model_name(["model._target_=their.Net", "model.resolution=9"], None) == "Net"


def test_crosscheck_explains_every_operator(cli: Cli) -> None:
    finished = cli("task=crosscheck", "model=efficientnet_b0", "resolution=64", "output=json")
    assert finished.code == 0
    document = finished.document
    assert document["agrees"] is True
    rows = {row["operator"]: row for row in document["operators"]}
    assert rows["conv"]["difference"] == rows["linear"]["difference"] == 0
    assert rows["batch_norm"]["flops_fvcore"] == 2 * rows["batch_norm"]["elements"]
    assert "skipped 49" in rows["silu_"]["why"]
    explained = sum(row["difference"] for row in document["operators"])
    assert explained == document["flops_fvcore"] - document["multiply_adds"]


def test_list_shows_every_variant_and_choice(cli: Cli) -> None:
    document = cli("task=list", "output=json").document
    assert [variant["name"] for variant in document["variants"]] == NAMES
    families = {family["name"]: family["variants"] for family in document["families"]}
    assert families["efficientnet_v2"] == 8  # B0 to B3, S, M, L, XL
    assert families["amoebanet"] == 4  # GPipe's sizes
    assert sum(families.values()) == len(NAMES)
    assert document["choices"]["task"] == options("task")
    assert "cpu" in document["devices"]
    table = cli("task=list")
    assert table.code == 0
    assert all(name in table.out for name in NAMES)
    assert cli("task=list", "output=csv").out.splitlines()[0] == "name,target,resolution,source"


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"benchbench \d+\.\d+\.\d+\n", cli("--version").out)


def test_debug_shows_where(cli: Cli) -> None:
    finished = cli("model=resnet50", "batch_size=0", "debug=true")
    assert finished.code == 2
    assert "Traceback" in finished.err
    assert finished.err.splitlines()[-1] == "benchbench: batch_size=0: must be at least 1"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 3], 3), ([3, 1, 0], 1), ([1, 2, 3, 0], 2)],
)
def test_a_sweeps_code_is_the_worst_of_its_jobs(codes: list[int], expected: int) -> None:
    assert Sweep(codes=codes).exit_code == expected


def test_every_option_of_every_choice_composes(cli: Cli) -> None:
    for group in ("task", "device", "runtime", "profiler", "budget", "store"):
        for option in options(group):
            finished = cli("model=resnet50", f"{group}={option}", "--cfg", "job")
            assert finished.code == 0, finished.err


NETWORKS = r"""
import ctypes, os, sys
import torch

class Quits(torch.nn.Module):
    def forward(self, x):
        sys.exit(0)

class Loud(torch.nn.Module):
    def forward(self, x):
        os.system("echo from a child process")
        os.write(1, b"past Python")
        ctypes.CDLL(None).printf(b"by C, into a buffer\n")
        print("by Python")
        return x.relu()

class Colourful(torch.nn.Module):
    def __init__(self):
        super().__init__()
        raise KeyError("red \x1b[31m\rand new")
"""
OWN = ("model.resolution=8", "profiler=complexity", "plots=false", "output=json")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[str]:
    """A module of one's own in the working folder."""
    name = f"own_{tmp_path.name}"
    Path(f"{name}.py").write_text(NETWORKS)
    yield name
    sys.path.remove(str(tmp_path))


def test_a_network_that_quits_ends_its_own_job_only(cli: Cli, own: str) -> None:
    finished = cli("-m", f"model._target_={own}.Quits,torch.nn.ReLU", *OWN)
    assert finished.code == 2
    assert [json.loads(line)["model"] for line in finished.out.splitlines()] == ["ReLU"]
    assert "tried to end the program with 0" in finished.err


def test_whatever_a_network_writes_stdout_is_the_document(cli: Cli, own: str) -> None:
    finished = cli(f"model._target_={own}.Loud", *OWN)
    assert finished.document["model"] == "Loud"
    for noise in ("from a child process", "past Python", "by Python", "into a buffer"):
        assert noise in finished.err


def test_control_characters_stay_out_of_the_terminal(cli: Cli, own: str) -> None:
    finished = cli(f"model._target_={own}.Colourful", *OWN)
    assert finished.code == 2
    assert finished.err.isprintable() or finished.err.rstrip("\n").isprintable()
    assert "KeyError" in finished.err


def test_a_failed_sweep_takes_away_only_the_folders_it_made(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    finished = cli(
        "-m", "model=resnet50", "batch_size=0", f"results={tmp_path}/mine/empty/new/deep"
    )
    assert finished.code == 2
    assert list((tmp_path / "mine").rglob("*")) == [tmp_path / "mine" / "empty"]


def test_pictures_that_have_no_place_are_noticed_before_measuring(cli: Cli) -> None:
    Path("results").mkdir()
    Path("results/runs").touch()
    finished = cli("model=resnet50", "profiler=complexity")
    assert (finished.code, finished.out) == (2, "")
    assert [path.name for path in Path("results").iterdir()] == ["runs"]


def test_a_record_whose_pictures_fail_is_shown_all_the_same(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchbench.report.pictures.save", full)
    finished = cli("model=resnet50", "profiler=complexity", "output=json")
    assert finished.code == 2
    assert finished.document["folder"] is None
    assert f"record {finished.document['record']} is kept" in finished.err


def test_passwords_are_neither_shown_nor_kept(cli: Cli) -> None:
    assert hide_password("x://me:secret@host/db y") == "x://me:***@host/db y"
    finished = cli("model=resnet50", "store.url=nosuch://me:secret@host/db", *COUNT)
    assert finished.code == 2
    assert "secret" not in finished.err


def test_the_command_to_repeat_is_never_cut(cli: Cli) -> None:
    tag = "tag=" + "long " * 40
    finished = cli("model=resnet50", tag, *COUNT)
    (line,) = (line for line in finished.out.splitlines() if line.startswith("repeat"))
    assert shlex.split(line)[4:] == ["model=resnet50", tag, *COUNT]


def test_crosscheck_without_anything_to_compare_is_no_evidence(cli: Cli) -> None:
    finished = cli("task=crosscheck", "model._target_=torch.nn.ReLU", "model.resolution=8")
    assert finished.code == 3
    assert "no evidence" in finished.out
