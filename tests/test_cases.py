"""What may be built from a configuration, and what is refused before it is called."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from variants import variant

from benchbench.cases import Case, from_models, import_network
from benchbench.config import Settings
from benchbench.errors import UserError
from benchbench.networks import build
from benchbench.profilers.complexity import complexity

MODULE = """
from pathlib import Path
from torch import nn
import torch

class Net(nn.Module):
    def __init__(self, width=1.0):
        super().__init__()
        self.conv = nn.Conv2d(3, int(8 * width), 3)
        self.rate = torch.linspace(0, 1, 5)[2].item()  # reads a value: impossible on meta
    def forward(self, x):
        return self.conv(x)

class Trap:
    def __init__(self, **_):
        Path("called").touch()

def trap(**_):
    Path("called").touch()
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module, by a name no other test has imported."""
    name = f"module_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_a_users_network_is_built_and_counted(case: Callable[..., Case], theirs: str) -> None:
    own = case(target=f"{theirs}.Net", arguments={"width": 0.5})
    assert build(own, "cpu").conv.out_channels == 4
    counted = complexity(own)
    assert counted.multiply_adds == 62 * 62 * 4 * 3 * 9


@pytest.mark.parametrize("name", ["Trap", "trap", "Path.touch", "nn", "torch.nn.functional.relu"])
def test_only_a_module_class_is_called(
    case: Callable[..., Case], theirs: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"only a torch\.nn\.Module class"):
        build(case(target=f"{theirs}.{name}"), "cpu")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nosuchpackage.Net", "no module 'nosuchpackage'"),
        ("torch.nn.Nosuch", "torch.nn has no 'Nosuch'"),
        ("Net", "dotted path"),
        ("os;system.Net", "dotted path"),
        ("..Net", "dotted path"),
    ],
)
def test_a_target_that_leads_nowhere_is_named(target: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        import_network(target)
    assert target in str(raised.value)


def test_a_file_whose_name_is_taken_is_named() -> None:
    Path("json.py").write_text("")
    with pytest.raises(UserError, match=r"json has no 'Net'; json\.py in the working folder"):
        import_network("json.Net")


def test_a_module_that_fails_to_import_says_so(tmp_path: Path, theirs: str) -> None:
    (tmp_path / f"{theirs}.py").write_text("import nosuchpackage")
    with pytest.raises(UserError, match="No module named 'nosuchpackage'"):
        import_network(f"{theirs}.Net")


@pytest.mark.parametrize(
    "nested",
    [
        "+model.x={_target_: pathlib.Path.touch, self: gone}",
        "+model.x=[{_target_: pathlib.Path}]",
        "+model._partial_=true",
        "+model.x={y: {_args_: [1]}}",
    ],
)
def test_arguments_may_not_build_objects(nested: str) -> None:
    with pytest.raises(UserError, match="may not build objects"):
        variant("resnet50", nested)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+model.foo=3"], "unknown argument .* 'foo'"),
        (["model.resolution=0"], "model.resolution=0"),
        (["model.resolution=1.5"], "model.resolution=1.5"),
        (["model.preprocessing=nosuch"], "allowed: efficientnet, efficientnet_advprop, "),
        (["+model.num_classes=many"], "cannot be built"),
        (["resolution=31"], "allowed are 32 and more"),
        (["resolution=1"], "allowed are 32 and more"),
    ],
)
def test_values_that_do_not_fit_the_network(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        complexity(variant("resnet50", *overrides))
    assert "\n" not in str(raised.value)


def test_the_smallest_resolution_is_the_total_stride() -> None:
    assert complexity(variant("resnet50", "resolution=32")).multiply_adds > 0


def test_top_level_resolution_wins() -> None:
    assert variant("efficientnet_b7", "resolution=64").input_shape == (1, 3, 64, 64)
    assert variant("efficientnet_b7", "batch_size=2").input_shape == (2, 3, 600, 600)


def test_a_case_can_be_sent_to_a_worker(case: Callable[..., Case]) -> None:
    made = case(arguments={"width": 0.5})
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_network_without_a_stride_is_not_second_guessed(case: Callable[..., Case]) -> None:
    counted = complexity(case(target="torch.nn.ReLU", resolution=1))
    assert counted.layers[0].launches == 1


def test_building_restores_initialisation_after_a_failure(case: Callable[..., Case]) -> None:
    before: Any = nn.init.ones_
    with pytest.raises(UserError):
        build(
            case(target="torch.nn.Linear", arguments={"in_features": "x", "out_features": 1}),
            "meta",
        )
    assert nn.init.ones_ is before


def chosen(models: list[Any], **changes: Any) -> list[str]:
    return [case.name for case in from_models(Settings(models=models, **changes))]


def test_models_are_names_globs_and_networks_of_ones_own() -> None:
    own = {"_target_": "architectures.resnet.ResNet", "resolution": 64}
    found = from_models(Settings(models=["resnet50", "glob(efficientnet_lite[01])", own]))
    assert [case.name for case in found] == [
        "resnet50",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "ResNet",
    ]
    assert [case.resolution for case in found] == [224, 224, 240, 64]


def test_all_models_are_executed_as_asked() -> None:
    found = from_models(Settings(models=["resnet50", "resnet18"], batch_size=4, threads="1"))
    assert {case.batch_size for case in found} == {4}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "needs at least two networks"),
        (["resnet50"], r"models=\[resnet50\]: needs at least two"),
        (["resnet50", "glob(resnet5*)"], "resnet50 stands there twice"),
        (["resnet50", "resnet51"], "unknown model 'resnet51'; close: resnet50"),
        (["resnet50", "glob(nosuch*)"], "no variant is called so"),
    ],
)
def test_models_that_cannot_be_ranked(models: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(models)
