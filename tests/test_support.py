"""What is supported, as a table and as the errors it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchbench import support
from benchbench.cases import Case, labels
from benchbench.config import RuntimeSettings, Settings, options
from benchbench.errors import UserError
from benchbench.support import OPTION_DEFAULTS, PRECISIONS, RUNTIME_OPTIONS, SUPPORTED


def settings(runtime: str, precision: str = "fp32") -> Settings:
    return Settings(runtime=RuntimeSettings(name=runtime), precision=precision)


def test_every_runtime_has_an_option_a_module_and_precisions() -> None:
    from importlib.util import find_spec

    assert set(options("runtime")) == set(SUPPORTED)
    for runtime, by_device in SUPPORTED.items():
        assert find_spec(f"benchbench.runtimes.{runtime}") is not None
        assert set(by_device) <= {"cpu", "cuda"}
        assert all(set(found) <= set(PRECISIONS) for found in by_device.values())
    schema = RuntimeSettings()
    assert {name: getattr(schema, name) for name in OPTION_DEFAULTS} == OPTION_DEFAULTS
    assert set(RUNTIME_OPTIONS) <= set(SUPPORTED)


@pytest.mark.parametrize(
    ("runtime", "precision", "missing", "command"),
    [
        ("onnxruntime", "fp32", "onnxscript", r"pip install 'benchbench\[onnx\]'"),
        ("openvino", "fp32", "openvino", r"pip install 'benchbench\[openvino\]'"),
        ("openvino", "int8", "onnxruntime", r"pip install 'benchbench\[onnx\]'"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, runtime: str, precision: str, missing: str, command: str
) -> None:
    def find(module: str) -> object:
        return None if module == missing else module

    support.check_installed(settings(runtime, precision))
    monkeypatch.setattr(support, "find_spec", find)
    message = f"runtime={runtime} precision={precision} needs {missing}: {command}"
    with pytest.raises(UserError, match=message):
        support.check_installed(settings(runtime, precision))
    support.check_installed(settings("eager"))


def test_inductor_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler: g\+\+ or clang\+\+"):
        support.check_installed(settings("compiled"))


def test_labels_say_what_differs(case: Callable[..., Case]) -> None:
    def of(**changes: Any) -> Case:
        return case(name="net", **changes)

    assert labels([of(), case(name="other")]) == ["net", "other"]
    assert labels([of(), of(runtime="openvino")]) == ["net eager", "net openvino"]
    ways = [of(), of(runtime="openvino", precision="int8")]
    assert labels(ways) == ["net eager fp32", "net openvino int8"]
