"""Which commit code is of: benchbench's own, and that of the network somebody brought.

Never that of the folder a command is typed in: a run from inside another repository is not of it.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
SECONDS = 10  # for git to answer


@cache
def own_revision() -> dict[str, Any] | None:
    """The commit of benchbench in a checkout, or the one it was installed from; else None.

    Asked once: what is imported does not change with a later commit.
    """
    beside = [PACKAGE, PACKAGE.parent / "architectures", PACKAGE.parent / "conf"]
    return revision(PACKAGE / "__init__.py", [path for path in beside if path.exists()]) or (
        _installed_from()
    )


def network_revision(target: str) -> dict[str, Any] | None:
    """The commit of the module that a network comes from; None for ours and outside any checkout.

    The module is looked for and not imported.
    """
    module = target.partition(".")[0]
    if not module.isidentifier() or module == "architectures":
        return None
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin or not Path(found.origin).is_file():
        return None
    file = Path(found.origin).resolve()
    known = revision(file, [file.parent if found.submodule_search_locations else file])
    return None if known is None else {"module": module, **known}


def revision(file: Path, code: list[Path]) -> dict[str, Any] | None:
    """The commit of the checkout that tracks a file, and whether the code differs from it.

    None where the file is not tracked: an environment inside a checkout is no part of it.
    """
    folder = file.parent
    if _git(folder, "ls-files", "--error-unmatch", "--", str(file)) is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--", *map(str, code))
    return {"commit": commit, "dirty": bool(changed)}


def _installed_from() -> dict[str, Any] | None:
    """What pip noted of an installation from a repository (PEP 610)."""
    try:
        noted = json.loads(distribution("benchbench").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        return None
    commit = noted.get("vcs_info", {}).get("commit_id")
    return {"commit": commit, "dirty": False} if commit else None


def _git(folder: Path, *words: str) -> str | None:
    """What git prints in a folder, None where it fails.

    Without the variables by which a hook points every git at the repository it runs for.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
