"""What is printed, drawn and kept of task=guidelines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from planted import AXES, Plant, ladder, steps

from benchbench.experiments.guidelines.judge import judge
from benchbench.report.guideline_document import guideline_document, guideline_rows
from benchbench.report.guideline_pictures import save
from benchbench.report.guidelines import guideline_tables
from benchbench.store import Store


def test_pictures_can_be_drawn(plant: Plant, tmp_path: Path) -> None:
    result = judge([r for g in AXES for r in plant(ladder(g), steps(1.1, 1.2, 1.3))])
    folder = save(result, tmp_path)
    assert folder is not None
    names = {path.name for path in Path(folder).iterdir()}
    stems = ("guidelines", "phase_diagram")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}


def test_reports_can_be_written(plant: Plant) -> None:
    result = judge([r for g in AXES for r in plant(ladder(g), steps(1.1, 1.2, 1.3))])
    document = json.loads(json.dumps(guideline_document(result, None), allow_nan=False))
    assert document["task"] == "guidelines"
    (cell,) = document["cells"]
    assert len(cell["verdicts"]) == 8
    assert {one["answer"] for one in cell["verdicts"]} == {"SUPPORTED"}
    assert len(guideline_rows(result)) == len(result.records)
    assert guideline_tables(result, None)


def test_stored_records_are_judged_without_torch(plant: Plant, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.sqlite'}"
    store = Store(url)
    for one in plant(ladder("g2"), steps(1.1, 1.2)):
        store.put(one)
    store.close()
    program = (
        "import sys; from benchbench.commandline import run_command_line\n"
        f"code = run_command_line(['task=guidelines', 'records=made', 'store.url={url}', "
        f"'plots=false', 'results={tmp_path}', 'output=json'])\n"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)["cells"][0]["verdicts"]
    assert verdict["answer"] == "SUPPORTED"
