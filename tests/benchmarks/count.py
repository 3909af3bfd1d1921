"""How long counting takes: build and walk on `meta`, after the imports. Limit: 0.25 s each."""

from __future__ import annotations

from statistics import median

from report import save, seconds

NETWORKS = {
    "efficientnet_b0": ("efficientnet.EfficientNet", 224, {}),
    "efficientnet_b7": ("efficientnet.EfficientNet", 600, {"width": 2.0, "depth": 3.1}),
    "resnet50": ("resnet.ResNet", 224, {}),
}
PROGRAM = """
import ast, importlib, sys
from time import perf_counter
from benchbench.cases import Case
from benchbench.profilers.complexity import complexity
target, resolution, arguments = sys.argv[1], int(sys.argv[2]), ast.literal_eval(sys.argv[3])
importlib.import_module(f"architectures.{target.split('.')[0]}")
case = Case(name="x", target=f"architectures.{target}", arguments=arguments,
            resolution=resolution, batch_size=1, device="cpu", device_index=0, runtime="eager",
            precision="fp32", layout="contiguous", threads=1, input="random",
            preprocessing="torchvision", seed=0)
for _ in range(5):
    started = perf_counter()
    complexity(case)
    print(perf_counter() - started)
"""
PROCESSES = 7


def main() -> None:
    rows: list[tuple[str, ...]] = [("network", "first call, median", "first call, worst", "later")]
    for name, (target, resolution, arguments) in NETWORKS.items():
        runs = [
            seconds(PROGRAM, target, str(resolution), repr(arguments)) for _ in range(PROCESSES)
        ]
        first = [run[0] for run in runs]
        later = median(time for run in runs for time in run[1:])
        rows.append((name, f"{median(first):.3f} s", f"{max(first):.3f} s", f"{later:.3f} s"))
    title = f"Counting on meta, {PROCESSES} fresh processes a network"
    save("count", title, "make bench-count", rows)


if __name__ == "__main__":
    main()
