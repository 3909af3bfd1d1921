"""`task=accuracy` from the command line: documents, exit codes, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Finished
from PIL import Image
from skimage import data

from benchbench.store import Store

Cli = Callable[..., Finished]
ROOT = Path(__file__).parents[1]
URL = "sqlite:///results/benchbench.sqlite"

NETWORKS = """
import time
import torch

class Red(torch.nn.Module):
    '''Six classes; raw red, fed as the last channel, is nearest to 50 times the class.'''
    def forward(self, x):
        return -(x[:, 2].mean((1, 2))[:, None] - torch.arange(6).to(x) * 50).abs()

class Slow(Red):
    def forward(self, x):
        time.sleep(0.2)
        print(len(x), file=open("calls", "a"))
        return super().forward(x)
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[str]:
    """A module of one's own in the working folder, by a name no other test has imported."""
    name = f"colours_{tmp_path.name}"
    Path(f"{name}.py").write_text(NETWORKS)
    yield name
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))


def words(target: str, *more: str) -> tuple[str, ...]:
    own = (f"model._target_={target}", "model.resolution=8", "+model.preprocessing=megvii")
    return ("task=accuracy", *own, "input=a set", "output=json", *more)


def paint(folder: str, count: int, red: int) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (12, 9), (red, 99, 200)).save(f"{folder}/{number:03d}.png")


def test_from_folders_to_a_document_and_a_record(cli: Cli, own: str) -> None:
    """Red 110 is class 2, then 3, 1, 4, 0 and 5: three of five are right; one file is none."""
    paint("a set/2", 3, red=110)
    paint("a set/0", 2, red=110)
    Path("a set/0/torn.png").write_bytes(Path("a set/0/000.png").read_bytes()[:45])
    finished = cli(*words(f"{own}.Red", "batch_size=4"))
    assert (finished.code, finished.err) == (0, "")
    document = finished.document
    assert document["task"] == "accuracy"
    assert document["input"] == "a set"
    assert document["metrics"]["top1"]["value"] == pytest.approx(0.6)
    assert document["metrics"]["top1"]["samples"] == document["images"] == 5
    assert document["metrics"]["top5"]["value"] == 1
    assert document["corrupt"]["count"] == 1
    assert document["corrupt"]["files"][0]["file"] == "0/torn.png"
    assert "cannot be read" in document["corrupt"]["files"][0]["reason"]
    assert "images that could not be read, left out: 1" in document["quality"]["reasons"]
    (record,) = Store(URL).records()
    assert record.id == document["record"]
    assert record["top1"].samples == ((0, 0, 1, 1, 1),)
    assert record["top1"].details["corrupt"] == document["corrupt"]["files"]


def test_random_weights_are_chance_and_say_so(cli: Cli) -> None:
    """Two photographs in folders of ImageNet's own names, through two networks."""
    for identifier, photograph in {"n02124075": data.chelsea(), "n07920052": data.coffee()}.items():
        Path("set", identifier).mkdir(parents=True)
        Image.fromarray(photograph).save(f"set/{identifier}/a.jpg")
    swept = ("-m", "model=mobilenet_v3_small,shufflenet_v2_x0_5", "task=accuracy", "input=set")
    finished = cli(*swept, "resolution=64", "batch_size=32", "output=json")
    assert (finished.code, finished.err) == (0, "")
    documents = [json.loads(line) for line in finished.out.splitlines()]
    assert [document["model"] for document in documents] == [
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
    ]
    for document in documents:
        assert document["images"] == 2
        assert "weights are random, so the accuracy is chance" in document["quality"]["reasons"]


def test_labels_of_a_flat_folder(cli: Cli, own: str) -> None:
    paint("a set", 4, red=150)
    Path("it's 1e5").write_text("000.png 3\n001.png 3\n002.png 0\n004.png 3\n")
    document = cli(*words(f"{own}.Red", "labels=it's 1e5", "batch_size=2")).document
    assert document["metrics"]["top1"]["value"] == pytest.approx(2 / 3)
    assert document["labels"] == {"file": "it's 1e5", "from": "labels file, by file name"}
    reasons = document["quality"]["reasons"]
    assert "images without a label, left out: 1 (003.png)" in reasons
    assert "labels without an image: 1 (004.png)" in reasons
    assert "labels=it's 1e5" in shlex.split(document["command"])


def test_no_readable_image_is_no_evidence(cli: Cli, own: str) -> None:
    for number in range(2):
        Path(f"a set/{number}").mkdir(parents=True)
        Path(f"a set/{number}/{number}.png").touch()
    finished = cli(*words(f"{own}.Red"))
    assert finished.code == 3
    why = "none of the images could be read (2); the first: 0.png is not an image"
    assert finished.err == f"benchbench: {why}\n"
    assert finished.document["metrics"]["top1"] == {"value": None, "unit": "", "reason": why}
    assert finished.document["corrupt"]["count"] == 2


def test_ctrl_c_keeps_the_images_seen(own: str) -> None:
    paint("a set/3", 400, red=150)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchbench", *words(f"{own}.Slow", "results=out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    calls = Path("calls")
    while process.poll() is None and (not calls.exists() or calls.stat().st_size < 10):
        time.sleep(0.05)  # five calls; all of them would take 80 seconds
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "benchbench: interrupted; what was measured until then is kept\n"
    document = json.loads(out)
    assert 0 < document["images"] < 400
    assert document["metrics"]["top1"]["value"] == 1
    reasons = document["quality"]["reasons"]
    assert f"images looked at: {document['images']} of 400" in reasons
    assert "interrupted: this is what was measured until then" in reasons


MISTAKES = {
    "input=random": ["input=random", "input=FOLDER"],
    "input=nosuch": ["input=nosuch", "No such file"],
    "input=text.jpg": ["input=text.jpg", "Not a directory"],
    "input=.": ["input=.", "labels=FILE"],
    "input=. labels=nosuch.txt": ["labels=nosuch.txt", "No such file"],
    "input=. labels=text.jpg": ["labels=text.jpg: line 1", "'picture'", "WordNet"],
    "input=. labels=": ["labels=", "empty"],
    "input=. labels=text.jpg resolution=31": ["resolution=31", "32"],
    "input=. labels=text.jpg +model.num_classes=abc": ["num_classes=abc"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(cli: Cli, line: str) -> None:
    Path("text.jpg").write_text("no picture")
    finished = cli("task=accuracy", "model=mobilenet_v2", "resolution=32", *line.split())
    assert (finished.code, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1
    for part in MISTAKES[line]:
        assert part in finished.err
    assert [path.name for path in Path().iterdir()] == ["text.jpg"]


def test_a_plan_names_the_profiler(cli: Cli) -> None:
    finished = cli("task=accuracy", "model=resnet50", "input=x", "plan=true", "output=json")
    (plan,) = finished.document["plan"]
    assert (plan["profilers"], plan["input"]) == (["accuracy"], "x")
