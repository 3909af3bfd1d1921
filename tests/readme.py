"""The parts of README.md that the program writes itself: `make readme`; a test compares."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from variants import variant

from benchbench.metrics import show, si
from benchbench.profilers.complexity import complexity

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RANKING = ROOT / "results" / "reference" / "xeon_2_cores" / "rank.json"  # by task=rank
NETWORKS = (
    *("shufflenet_v2_x1_0", "shufflenet_v1_g3_x1_0", "mobilenet_v3_large", "mobilenet_v2"),
    *("mnasnet_a1", "efficientnet_b0", "mobilenet_v1", "resnet50"),
)
# Commands whose output is the same everywhere; README shows it as it is printed.
COMMANDS = ("python -m benchbench model=eficientnet_b0",)


def networks() -> str:
    """The canonical networks, lightest first, in six currencies."""
    lines = [
        "| network | parameters | multiply-adds | launches | bytes, ops | fused | latency |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    ranked = json.loads(RANKING.read_text(encoding="utf-8"))["ranking"]
    latencies = {row["model"]: row["latency"] for row in ranked}
    for name in NETWORKS:
        value = {m.metric: m.value or 0 for m in complexity(variant(name)).measurements}
        cells = [name, si(value["params"], ""), si(value["multiply_adds"], "")]
        cells += [show("launches", value["launches"])]
        cells += [show(ledger, value[ledger]) for ledger in LEDGERS]
        cells += [si(latencies[name], "s", digits=3)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


LEDGERS = ("memory_access_ops", "memory_access_fused")


def output(command: str, folder: Path) -> str:
    """What a command prints, trailing blanks and names of the machine left out."""
    words = [sys.executable, *command.split()[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    text = re.sub(r" on cpu \(.*\)", " on cpu", done.stdout + done.stderr)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(["```", f"$ {command}", *lines, "```"])


def written(text: str, folder: Path) -> str:
    """README.md with its generated parts made anew; commands run in `folder`."""
    parts = {"networks": networks()}
    parts |= {f"output {number}": output(line, folder) for number, line in enumerate(COMMANDS, 1)}
    for name, content in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{content}\n{end}{tail}"
    return text


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        README.write_text(written(README.read_text("utf-8"), Path(scratch)), "utf-8")
