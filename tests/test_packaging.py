"""The wheel: an installed copy works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done  # type: ignore[no-any-return]


def test_an_installed_copy_works_away_from_the_checkout(tmp_path: Path) -> None:
    """conf/ travels inside the wheel; nothing of the checkout is on the path."""
    python = sys.executable
    run(python, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel))
    (tmp_path / "elsewhere").mkdir()
    done = run(
        *(python, "-m", "benchbench", "model=efficientnet_b0", "profiler=complexity"),
        *("plots=false", "output=csv"),
        cwd=tmp_path / "elsewhere",
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert ",385814752," in done.stdout
    assert (site / "benchbench" / "conf" / "config.yaml").is_file()
    assert (site / "benchbench" / "datasets" / "imagenet_wordnet_ids.txt").is_file()
    assert (site / "architectures" / "efficientnet.py").is_file()
