"""The one-way flow: an import points to the left, or to what lies under all stages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# config -> cases -> measure -> records -> store -> judge -> report, and who drives them.
# A module may import from its own stage and from those before it.
STAGES = (
    (
        *("benchbench", "benchbench.errors", "benchbench.folders", "benchbench.metrics"),
        *("benchbench.measurements", "benchbench.statistics", "benchbench.roofline"),
        "benchbench.structure",
        *("benchbench.cgroup", "benchbench.cores", "benchbench.search_path"),
        *("benchbench.processes", "benchbench.supervisor"),
    ),
    ("benchbench.config", "benchbench.support"),
    ("benchbench.cases",),
    ("benchbench.weights",),
    ("benchbench.networks",),
    (
        *("benchbench.counting", "benchbench.datasets", "benchbench.inputs", "benchbench.runtimes"),
        *("benchbench.profilers", "benchbench.device", "benchbench.environment"),
        *("benchbench.revision", "benchbench.schedule", "benchbench.estimate"),
        *("benchbench.sentinels", "benchbench.sensors", "benchbench.lock"),
        *(
            "benchbench.worker",
            "benchbench.provenance",
            "benchbench.measure",
            "benchbench.prediction",
            "benchbench.compensation",
        ),
    ),
    ("benchbench.findings", "benchbench.gpu_checks", "benchbench.checks", "benchbench.quality"),
    ("benchbench.records",),
    ("benchbench.rounds",),
    ("benchbench.database", "benchbench.store", "benchbench.entries"),
    ("benchbench.experiments",),
    ("benchbench.report",),
    ("benchbench.jobs", "benchbench.recording", "benchbench.tasks", "benchbench.run"),
    (
        "benchbench.hydra_errors",
        "benchbench.hydra_limits",
        "benchbench.commandline",
        "benchbench.__main__",
    ),
)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("benchbench", "architectures")
    for path in (ROOT / package).rglob("*.py")
}


def stage(module: str) -> int:
    """The stage of a module: that of its longest listed prefix."""
    while module:
        for number, members in enumerate(STAGES):
            if module in members:
                return number
        module = module.rpartition(".")[0]
    raise AssertionError("not a module of ours")


def imports(path: Path) -> Iterator[str]:
    """Our own modules that a file imports, at the top or late."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.split(".")[0] in ("benchbench", "architectures"))


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("benchbench")])
def test_imports_point_left(module: str) -> None:
    for imported in imports(MODULES[module]):
        if imported.startswith("benchbench"):
            assert stage(imported) <= stage(module), f"{module} imports {imported}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("architectures")])
def test_networks_know_nothing_of_benchbench_or_hydra(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert not [name for name in imports(MODULES[module]) if name.startswith("benchbench")]
    assert "hydra" not in text


def test_every_stage_names_what_exists() -> None:
    packages = {str(Path(*name.split("."))) for members in STAGES for name in members}
    assert all((ROOT / p).is_dir() or (ROOT / f"{p}.py").is_file() for p in packages)


@pytest.mark.parametrize(
    "part",
    [
        *("records", "store", "experiments.crosscheck", "report.tables", "worker"),
        *("experiments.bound", "experiments.operators", "report.operators"),
        *("experiments.audit", "experiments.swaps", "experiments.sayings", "report.audit"),
        *("experiments.ablation", "report.ablation", "report.ablation_document"),
        "report.ablation_pictures",
        *("experiments.explain", "report.explain", "report.explain_pictures"),
        *("experiments.scaling", "report.scaling"),
    ],
)
def test_judging_and_reporting_need_no_torch(part: str) -> None:
    """They run on results from another machine."""
    import subprocess
    import sys

    program = f"import sys, benchbench.{part}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0
