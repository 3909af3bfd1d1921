"""Checkpoints of all kinds, through the command line: each is loaded, or refused in one line."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pickle
import socket
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from conftest import Finished
from safetensors.torch import save, save_file
from torch import Tensor, nn

from architectures.checkpoint_files import read
from benchbench.cases import Case
from benchbench.networks import build
from benchbench.provenance import check_weights

Cli = Callable[..., Finished]
State = dict[str, Tensor]
Make = Callable[[State, Path], Any]


class Tiny(nn.Module):
    """Eight tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.norm(self.conv(x)).mean((2, 3)))
        return found


class Runs:
    """A payload: unpickled with the pickle module, it makes a file."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("it-ran"),))


def wrapped(wrap: Callable[[State], Any]) -> Make:
    """What a function makes of the weights, saved by torch."""
    return lambda state, path: torch.save(wrap(state), path)


def with_tensor(spoil: Callable[[Tensor], Any], name: str = "head.weight") -> Make:
    """The weights with one tensor made something else."""
    return wrapped(lambda state: state | {name: spoil(state[name])})


def raw(content: bytes) -> Make:
    return lambda _, path: path.write_bytes(content)


def worse(state: State) -> State:
    """The last weights, which are not the averaged ones."""
    return {name: item + 1 for name, item in state.items()}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: item for name, item in state.items()}


def parameters(state: State) -> State:
    return {name: item for name, item in state.items() if "running" not in name}


def looped(state: State) -> dict[str, Any]:
    content: dict[str, Any] = {"epoch": 3}
    content["state_dict"] = content
    return content


def looped_with_weights(state: State) -> dict[str, Any]:
    content: dict[str, Any] = dict(state)
    content["model"] = content
    return content


def two_that_name_each_other(state: State) -> dict[str, Any]:
    first: dict[str, Any] = {}
    second = {"model": first, "ema": first}
    first["state_dict"] = second
    return first


def nested(levels: int) -> Callable[[State], Any]:
    def wrap(state: State) -> Any:
        content: Any = state
        for _ in range(levels):
            content = {"state_dict": content}
        return content

    return wrap


def saved_in_old_format(wrap: Callable[[State], Any]) -> Make:
    return lambda state, path: torch.save(wrap(state), path, _use_new_zipfile_serialization=False)


def safetensors_header(header: dict[str, Any], length: int | None = None) -> Make:
    text = json.dumps(header).encode()
    return raw(struct.pack("<Q", len(text) if length is None else length) + text)


def rewritten(change: Callable[[str, bytes], bytes]) -> Make:
    """The archive that torch writes, with what a function makes of its members."""

    def make(state: State, path: Path) -> None:
        torch.save(state, path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, change(name, content))

    return make


def claiming(name: str, content: bytes) -> bytes:
    """The 20 numbers of `head.weight` become a billion of 4 bytes."""
    return content.replace(b"K\x14tq", b"J\x00\x00\x00\x40tq") if name.endswith(".pkl") else content


def zipped(member: str, compression: int = zipfile.ZIP_STORED, content: bytes = b"x") -> Make:
    def make(_: State, path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr(member, content)

    return make


def cut(share: float) -> Make:
    def make(state: State, path: Path) -> None:
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return make


def by_numpy(write: Callable[[Any, Any], None]) -> Make:
    def make(state: State, path: Path) -> None:
        with path.open("wb") as file:
            write(file, state["head.bias"].numpy())

    return make


def at_socket(_: State, path: Path) -> None:
    held = socket.socket(socket.AF_UNIX)
    held.bind(path.name)
    held.close()


def without_permission(state: State, path: Path) -> None:
    torch.save(state, path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")


LOADED: dict[str, Make] = {
    "plain": wrapped(lambda state: state),
    "ordered": wrapped(OrderedDict),
    "old format": saved_in_old_format(lambda state: state),
    "old format, wrapped": saved_in_old_format(lambda state: {"model": state, "epoch": 1}),
    "safetensors in .pth": save_file,
    "safetensors with metadata": lambda state, path: save_file(state, path, {"format": "pt"}),
    "state_dict": wrapped(lambda state: {"state_dict": state, "optimizer": {"state": {}}}),
    "model in state_dict": wrapped(lambda state: {"state_dict": {"model": state}}),
    "five wrappers": wrapped(nested(5)),
    "data-parallel": wrapped(lambda state: prefixed("module.", state)),
    "compiled, parallel": wrapped(lambda state: prefixed("_orig_mod.module.", state)),
    "lightning": wrapped(lambda state: {"state_dict": prefixed("model.", state), "loops": {}}),
    "arguments beside": wrapped(lambda state: {"model": state, "args": argparse.Namespace(lr=1)}),
    "numpy numbers beside": wrapped(
        lambda state: {"model": state, "best": numpy.float64(77.1), "epoch": numpy.int64(3)}
    ),
    "numpy numbers, old format": saved_in_old_format(
        lambda state: {"model": state, "best": numpy.float32(77.1)}
    ),
    "without counters": wrapped(
        lambda state: {n: t for n, t in state.items() if "num_batches" not in n}
    ),
    "half precision": wrapped(
        lambda state: {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
    ),
    "bfloat16 safetensors": lambda state, path: save_file(
        {n: t.bfloat16() if t.is_floating_point() else t for n, t in state.items()}, path
    ),
    "double precision": with_tensor(Tensor.double),
    "float8": with_tensor(lambda t: t.to(torch.float8_e4m3fn)),
    "parameters": wrapped(lambda state: {n: nn.Parameter(t, False) for n, t in state.items()}),
    "expanded": with_tensor(lambda t: t[:1, :1].expand(5, 4)),
    "transposed": with_tensor(lambda t: t.T.clone().T),
    "overlapping": with_tensor(lambda t: torch.arange(30.0).as_strided((5, 4), (1, 1))),
    "part of a larger one": with_tensor(lambda t: torch.ones(100, 100)[:5, :4]),
    "shared storage": wrapped(lambda state: state | {"norm.weight": state["norm.bias"].view(4)}),
    "not finite": with_tensor(lambda t: t / 0 - t / 0),
    "looped, with weights": wrapped(looped_with_weights),
    "numbers as names beside": wrapped(lambda state: {"model": state, 3: torch.ones(1)}),
}

# What is taken, and what the report says of it.
AVERAGED: dict[str, tuple[Make, str]] = {
    "model and ema": (wrapped(lambda s: {"model": worse(s), "ema": s}), "'ema'"),
    "ema first": (wrapped(lambda s: {"ema": s, "model": worse(s)}), "'ema'"),
    "ema_state_dict": (
        wrapped(lambda s: {"state_dict": worse(s), "ema_state_dict": s}),
        "'ema_state_dict' of the file; the file also holds 'state_dict'",
    ),
    "timm": (
        wrapped(lambda s: {"state_dict": worse(s), "state_dict_ema": s, "arch": "tiny"}),
        "'state_dict_ema'",
    ),
    "torchvision": (
        wrapped(
            lambda s: {
                "model": worse(s),
                "model_ema": prefixed("module.", s) | {"n_averaged": torch.tensor(7)},
            }
        ),
        "'model_ema' of the file; the file also holds 'model'",
    ),
    "averaged_model": (
        wrapped(lambda s: {"averaged_model": s, "net": worse(s)}),
        "'averaged_model' of the file; the file also holds 'net'",
    ),
    "camel case": (wrapped(lambda s: {"averagedModel": s, "model": worse(s)}), "'averagedModel'"),
    "swa": (wrapped(lambda s: {"swa_model": s, "model": worse(s)}), "'swa_model'"),
    "ema in an entry": (
        wrapped(lambda s: {"model": {"state_dict": worse(s), "ema": s}}),
        "'model.ema'",
    ),
    "state_dict in ema": (
        wrapped(lambda s: {"model": worse(s), "ema": {"state_dict": s, "decay": 0.99}}),
        "'ema.state_dict'",
    ),
    "shadow": (
        wrapped(lambda s: {"model": worse(s), "ema": {"shadow": s, "num_updates": 3}}),
        "'ema.shadow'",
    ),
    "counters as tensors": (
        wrapped(lambda s: {"model": worse(s), "ema": s | {"num_updates": torch.tensor(3)}}),
        "'ema'",
    ),
    "two averages": (
        wrapped(lambda s: {"swa": worse(s), "model_ema": s, "model": worse(s)}),
        "'model_ema' of the file; the file also holds 'model', 'swa'",
    ),
    "lightning callback": (
        wrapped(
            lambda s: {
                "state_dict": prefixed("model.", worse(s)),
                "callbacks": {"EMACallback": {"ema_state_dict": prefixed("model.", s)}},
            }
        ),
        "'callbacks.EMACallback.ema_state_dict' of the file; the file also holds 'state_dict'",
    ),
    "lightning's own": (
        wrapped(lambda s: {"state_dict": s, "current_model_state": worse(s)}),
        "'state_dict' of the file; the file also holds 'current_model_state'",
    ),
    "mmengine, which swaps": (
        wrapped(
            lambda s: {
                "meta": {"mmengine_version": "0.10"},
                "state_dict": s,
                "ema_state_dict": prefixed("module.", worse(s)),
            }
        ),
        "averaged ones, entry 'state_dict' of the file; the file also holds 'ema_state_dict'",
    ),
    "averages of parameters alone": (
        wrapped(lambda s: {"model": s, "ema": parameters(s)}),
        "2 tensors are those of the last step",
    ),
    "averages without names": (
        wrapped(lambda s: {"model": s, "ema": {"shadow_params": list(s.values())}}),
        "the weights are not averaged",
    ),
    "no averages yet": (wrapped(lambda s: {"model": s, "ema": None}), ""),
    "empty averages": (wrapped(lambda s: {"model": s, "ema": {}}), ""),
}

NO_FORMAT = "in no format of torch or safetensors"
CODE = "holds objects other than tensors, which could run code"
REFUSED: dict[str, tuple[Make, str]] = {
    "nothing": (lambda _, path: None, "No such file"),
    "folder": (lambda _, path: path.mkdir(), "is not a file"),
    "pipe": (lambda _, path: os.mkfifo(path), "is not a file"),
    "socket": (at_socket, "is not a file"),
    "zeros without end": (lambda _, path: path.symlink_to("/dev/zero"), "is not a file"),
    "link to itself": (lambda _, path: path.symlink_to(path), "symbolic links"),
    "link to nothing": (lambda _, path: path.symlink_to("nowhere"), "No such file"),
    "unreadable": (without_permission, "Permission denied"),
    "empty file": (raw(b""), "cannot be read"),
    "one byte": (raw(b"{"), NO_FORMAT),
    "text": (raw(b"root:x:0:0:root:/root\n" * 9), NO_FORMAT),
    "zeros": (raw(bytes(100_000)), NO_FORMAT),
    "ones": (raw(b"\xff" * 100_000), NO_FORMAT),
    "sparse file of a terabyte": (
        lambda _, path: (path.touch(), os.truncate(path, 2**40)),
        NO_FORMAT,
    ),
    "gzip": (raw(gzip.compress(bytes(1000))), NO_FORMAT),
    "HDF5": (raw(b"\x89HDF\r\n\x1a\n" + bytes(1000)), NO_FORMAT),
    "ONNX": (raw(b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:\x80\x01"), NO_FORMAT),
    "msgpack": (raw(b"\x81\xa6params\x81\xa6kernel\xc7\x10\x01" + bytes(16)), NO_FORMAT),
    "PNG": (raw(b"\x89PNG\r\n\x1a\n" + bytes(100)), NO_FORMAT),
    "numpy .npz": (by_numpy(numpy.savez), "cannot be read"),
    "numpy .npy": (by_numpy(numpy.save), NO_FORMAT),
    "TorchScript": (zipped("archive/constants.pkl"), "TorchScript program"),
    "zip bomb": (
        zipped("archive/data.pkl", zipfile.ZIP_DEFLATED, bytes(10_000_000)),
        "it is compressed, which torch.save never does",
    ),
    "zip of text": (zipped("hello.txt"), "cannot be read"),
    "half of the file": (cut(0.5), "cannot be read"),
    "all but the end": (cut(0.99), "cannot be read"),
    "an empty dictionary": (wrapped(lambda _: {}), "holds no tensors by name, but nothing"),
    "a tensor": (wrapped(lambda s: s["head.weight"]), "holds a Tensor and no tensors by name"),
    "a list of tensors": (wrapped(lambda s: list(s.values())), "holds a list and no tensors"),
    "a number": (wrapped(lambda _: 3), "holds a int and no tensors by name"),
    "no tensors": (wrapped(lambda _: {"epoch": 1}), "holds no tensors by name, but epoch"),
    "an optimiser": (
        wrapped(lambda s: {"state": {0: {"exp_avg": s["head.bias"]}}, "param_groups": []}),
        "holds no tensors by name, but state, param_groups",
    ),
    "a looped state_dict": (wrapped(looped), "holds no tensors by name"),
    "two that name each other": (wrapped(two_that_name_each_other), "holds no tensors by name"),
    "twelve wrappers": (wrapped(nested(12)), "entries in entries, more than 8 deep"),
    "a list in lists": (
        lambda _, path: path.write_bytes(b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b"."),
        "nested more than 500 deep",
    ),
    "a tuple that nests as a key": (
        raw(b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s."),
        "nested more than 500 deep",
    ),
    "a network": (wrapped(lambda _: nn.Linear(2, 2)), f"{CODE}: torch.nn.modules.linear.Linear"),
    "numpy arrays": (wrapped(lambda _: {"a": numpy.ones(3)}), CODE),
    "a payload": (wrapped(lambda _: {"state_dict": Runs()}), CODE),
    "a payload in the old format": (saved_in_old_format(lambda _: Runs()), CODE),
    "a payload of pickle": (raw(pickle.dumps(Runs(), 2)), CODE),
    "a payload of protocol 5": (raw(pickle.dumps(Runs(), 5)), "cannot be read"),
    "a payload in text": (raw(b"cos\nsystem\n(S'touch it-ran'\ntR."), CODE),
    "a payload through numpy": (
        raw(b"\x80\x02cnumpy.core.multiarray\nscalar\n(cos\nsystem\nX\x01\x00\x00\x00xtR."),
        CODE,
    ),
    "a pickled dictionary": (raw(pickle.dumps({"a": 1}, 2)), "cannot be read"),
    "billions of numbers claimed": (rewritten(claiming), "claims 4,294,967,296 bytes"),
    "safetensors cut in the header": (raw(struct.pack("<Q", 1000) + b'{"a":'), "cannot be read"),
    "safetensors with a header of 2^63": (safetensors_header({}, 2**63), "cannot be read"),
    "safetensors that claims a terabyte": (
        safetensors_header({"a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}),
        "cannot be read",
    ),
    "safetensors that overlaps": (
        lambda _, path: path.write_bytes(
            save({"a": torch.ones(2), "b": torch.ones(2)}).replace(b"[8,16]", b"[0,8] ")
        ),
        "cannot be read",
    ),
    "safetensors without tensors": (safetensors_header({}), "holds no tensors by name"),
    "safetensors, header no JSON": (raw(struct.pack("<Q", 4) + b"{abc"), "cannot be read"),
    "safetensors, one byte short": (
        lambda state, path: path.write_bytes(save(state)[:-1]),
        "cannot be read",
    ),
    "whole numbers": (with_tensor(lambda t: t.to(torch.int8)), "torch.int8 for torch.float32"),
    "complex numbers": (with_tensor(lambda t: t + 0j), "torch.complex64 for torch.float32"),
    "sparse": (with_tensor(Tensor.to_sparse), "torch.sparse_coo for torch.strided"),
    "on meta": (with_tensor(lambda t: t.to("meta")), "on the meta device and have no data"),
    "another shape": (with_tensor(lambda t: t[:3].clone()), "head.weight (3, 4) for (5, 4)"),
    "a terabyte by strides": (
        with_tensor(lambda t: t[:1, :1].expand(10**6, 10**6)),
        "head.weight (1000000, 1000000) for (5, 4)",
    ),
    "one missing": (
        wrapped(lambda s: {n: t for n, t in s.items() if n != "head.bias"}),
        "1 missing (head.bias)",
    ),
    "a name of a million letters": (wrapped(lambda s: s | {"x" * 10**6: s["head.bias"]}), "xxx"),
    "a name with ESC and a line's end": (
        wrapped(lambda s: s | {"\x1b[31m\nred": s["head.bias"]}),
        r"\x1b[31m\nred",
    ),
}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network behaves, so it needs no process of its own, which takes seconds to start."""
    monkeypatch.setattr("benchbench.networks.is_ours", lambda _: True)


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return Tiny().state_dict()


def profiled(cli: Cli, path: Path) -> Finished:
    """The command; whatever it leaves behind lies in the folder of results."""
    settings = ("model.resolution=8", "profiler=complexity", "plots=false", "output=json")
    done = cli(f"model._target_={__name__}.Tiny", f"weights={path}", *settings)
    assert "Traceback" not in done.err
    assert not Path("it-ran").exists()
    assert {item.name for item in Path.cwd().iterdir()} <= {path.name, "results", "nowhere"}
    return done


@pytest.mark.parametrize("kind", LOADED)
def test_what_can_be_loaded_is(case: Callable[..., Case], state: State, kind: str) -> None:
    LOADED[kind](state, Path("weights.pth"))
    tiny = case(name="Tiny", target=f"{__name__}.Tiny", weights="weights.pth")
    weights = check_weights(tiny)
    assert weights is not None
    assert (weights["warnings"], weights["format"]) == ([], "benchbench")
    network = build(tiny, "cpu")
    assert torch.allclose(network.conv.weight, state["conv.weight"], rtol=0.01)  # half precision


@pytest.mark.parametrize("kind", AVERAGED)
def test_averaged_weights_are_taken_and_the_record_says_so(
    case: Callable[..., Case], state: State, kind: str
) -> None:
    make, said = AVERAGED[kind]
    make(state, Path("weights.pth"))
    found = read(Path("weights.pth")).tensors
    assert found.keys() >= {name for name in state if "num_batches" not in name}
    assert all(torch.equal(found[name], state[name]) for name in found)
    weights = check_weights(case(name="Tiny", target=f"{__name__}.Tiny", weights="weights.pth"))
    assert weights is not None
    assert said in " ".join(weights["remarks"])


def test_the_report_says_which_weights_were_taken(cli: Cli, state: State) -> None:
    torch.save({"model": worse(state), "ema": state}, "weights.pth")
    reasons = profiled(cli, Path("weights.pth")).document["quality"]["reasons"]
    assert reasons == [
        "weights are the averaged ones, entry 'ema' of the file; the file also holds 'model'"
    ]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_loaded_is_one_line_that_names_the_file(
    cli: Cli, state: State, kind: str
) -> None:
    make, message = REFUSED[kind]
    path = Path("weights.pth")
    make(state, path)
    done = profiled(cli, path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("benchbench: weights=weights.pth")
    assert message in line
    assert len(line) < 1000
    assert line.isprintable()


def test_more_objects_than_any_checkpoint_has_are_not_loaded(
    cli: Cli, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is lowered: three million objects take seconds."""
    monkeypatch.setattr("architectures.pickles.MOST_OPERATIONS", 10_000)
    torch.save(state | {str(number): number for number in range(5_000)}, "weights.pth")
    done = profiled(cli, Path("weights.pth"))
    assert done.code == 2
    assert "it has more than 10,000 objects and steps" in done.err


@pytest.mark.parametrize(
    "name", ["$x_$y.pth", "with space.pth", "a=b,c.pth", "it's.pth", "[1].pth", "\x1b[31m.pth"]
)
def test_odd_names_of_files_are_read_and_shown_safely(cli: Cli, state: State, name: str) -> None:
    torch.save(state, name)
    assert profiled(cli, Path(name)).code == 0
    Path(name).write_text("no checkpoint")
    done = profiled(cli, Path(name))
    (line,) = done.err.splitlines()
    assert done.code == 2
    assert repr(name)[1:-1] in line or name in line
    assert line.isprintable()


def test_a_path_longer_than_any_is_not_printed_whole(cli: Cli) -> None:
    done = profiled(cli, Path("x" * 10_000))
    assert done.code == 2
    assert "File name too long" in done.err
    assert len(done.err) < 1000
