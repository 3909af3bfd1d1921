"""Three pictures of a profile, as PNG and SVG."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchbench.measurements import Layer
from benchbench.metrics import si
from benchbench.records import Record
from benchbench.report.tables import describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A dollar sign in the name of a network or a file begins no formula.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchbench",
    "text.parse_math": False,
}
CURRENCIES = {
    "multiply_adds": ("multiply-adds", ""),
    "memory_access_fused": ("memory access, fused", "B"),
    "params": ("parameters", ""),
}
# Okabe and Ito's colours, which people who are colour-blind can tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
KINDS = {
    "1x1 convolution": "o",
    "depthwise": "s",
    "grouped convolution": "D",
    "other convolution": "v",
    "convolution on a 1x1 map": "P",
    "linear": "^",
}


def save(record: Record, runs: Path) -> Path | None:
    """Write the pictures this record has data for into a new folder below `runs`.

    The folder appears when all of them are written. None: there was nothing to draw.
    """
    figures = {stem: partial(draw, record) for stem, draw in _pictures(record)}
    return write(figures, runs, record.case.name, record.created) if figures else None


def write(figures: Mapping[str, Callable[[], Figure]], runs: Path, name: str, created: str) -> Path:
    """Draw figures into a folder below `runs`, which appears when all of them are written.

    It is named after the records, so where these are judged again their pictures are replaced.
    """
    from matplotlib import rc_context

    born = datetime.fromisoformat(created)
    plain = re.sub(r"[^\w.-]+", "_", name)
    folder = runs / f"{born:%Y-%m-%d_%H-%M-%S-%f}_{plain}"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs, prefix=".") as scratch:
        unfinished = Path(scratch) / "pictures"
        unfinished.mkdir()
        with rc_context(STYLE):
            for stem, draw in figures.items():
                figure = draw()
                _without_mathematics(figure)
                figure.savefig(unfinished / f"{stem}.png", dpi=150)
                figure.savefig(unfinished / f"{stem}.svg", metadata={"Date": None})
        _place(unfinished, folder)
    return folder


def _without_mathematics(figure: Figure) -> None:
    """Label logarithmic axes in plain digits, since no text is read as mathematics here."""
    from matplotlib.ticker import LogFormatter

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        for formatter, replace in (
            (axis.get_major_formatter(), axis.set_major_formatter),
            (axis.get_minor_formatter(), axis.set_minor_formatter),
        ):
            if isinstance(formatter, LogFormatter):
                replace(_in_digits(formatter))


def _in_digits(formatter: Any) -> Any:
    """A formatter that labels the same ticks as one of matplotlib's for logarithmic axes."""
    from matplotlib.ticker import LogFormatter

    thresholds, threshold = formatter.minor_thresholds, formatter._linthresh
    plain: Any = LogFormatter(formatter._base, formatter.labelOnlyBase, thresholds, threshold)
    plain._num_to_string = lambda value, *_: (
        si(value, "", 3) if abs(value) >= 1000 else f"{value:g}"
    )
    return plain


def _place(unfinished: Path, folder: Path) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    for file in unfinished.iterdir():
        file.replace(folder / file.name)


def _pictures(record: Record) -> Iterable[tuple[str, Callable[[Record], Figure]]]:
    if record.layers:
        yield "cost_per_stage", cost_per_stage
    if any(layer.multiply_adds for layer in record.layers):
        yield "multiply_adds_and_memory_access", multiply_adds_and_memory_access
    latency = record.get("latency")
    if latency is not None and latency.samples:
        yield "latency_distribution", latency_distribution


def stage(layer: str) -> str:
    """The stage a layer belongs to: "stem", "stages.3"; containers of numbered parts split."""
    first, *rest = layer.split(".")
    return f"{first}.{rest[0]}" if len(rest) > 1 and rest[0].isdigit() else first


def cost_per_stage(record: Record) -> Figure:
    """Each stage's share of three currencies, side by side."""
    # An activation that joins its neighbour's kernel costs nothing here: no empty row for it.
    costly = (item for item in record.layers if any(getattr(item, c) for c in CURRENCIES))
    stages = list(dict.fromkeys(stage(layer.name) for layer in costly))
    figure, axes = _figure(record, "cost per stage", height=1.8 + 0.42 * len(stages))
    for index, (currency, (label, unit)) in enumerate(CURRENCIES.items()):
        sums = dict.fromkeys(stages, 0)
        for layer in record.layers:
            if stage(layer.name) in sums:
                sums[stage(layer.name)] += getattr(layer, currency)
        total = sum(sums.values())
        shares = [100 * value / (total or 1) for value in sums.values()]
        positions = [row + (index - 1) * 0.27 for row in range(len(stages))]
        axes.barh(
            positions, shares, 0.27, color=COLOURS[index], label=f"{label}: {si(total, unit)}"
        )
    axes.set_yticks(range(len(stages)), [name or "(network)" for name in stages])
    axes.invert_yaxis()
    axes.set_xlabel("share of the network (%)")
    axes.set_ylabel("stage")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(CURRENCIES), fontsize="small")
    return figure


def latency_distribution(record: Record) -> Figure:
    """How often each time occurred, and when: drift and outliers show in the lower panel."""
    from matplotlib.ticker import MaxNLocator

    latency = record["latency"]
    assert latency.value is not None
    scale, unit = (1e3, "ms") if latency.value >= 1e-3 else (1e6, "µs")
    times = [scale * sample for sample in latency.flat]
    figure, (upper, lower) = _figures(record, "latency distribution", rows=2, height=6.0)
    near, beyond = _without_far_outliers(times)
    upper.hist(near, bins="auto" if len(near) > 20 else 10, color=COLOURS[4])
    upper.axvline(scale * latency.value, color=COLOURS[0], label=f"value {si(latency.value, 's')}")
    if latency.interval is not None:
        low, high = scale * latency.interval.low, scale * latency.interval.high
        over = f"95 % interval over {len(latency.samples)} processes"
        upper.axvspan(low, high, color=COLOURS[0], alpha=0.2, label=over)
    upper.set_xlabel(f"latency ({unit})" + (f", {beyond} slower ones not drawn" if beyond else ""))
    upper.set_ylabel("samples")
    upper.legend(fontsize="small")
    for number, (places, process) in enumerate(_in_order(latency.samples)):
        colour = COLOURS[number % 2]  # enough to tell a process from the next
        lower.plot(places, [scale * time for time in process], ".", color=colour, markersize=3)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.set_xlabel("sample, in order; a colour for each process in turn")
    lower.set_ylabel(f"latency ({unit})")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    return figure


def _in_order(samples: Sequence[Sequence[float]]) -> Iterator[tuple[range, Sequence[float]]]:
    """The samples of each process, and their places among those of all."""
    begin = 1
    for process in samples:
        yield range(begin, begin + len(process)), process
        begin += len(process)


def _without_far_outliers(times: Sequence[float]) -> tuple[list[float], int]:
    """The samples that a histogram can show, and how many lie far to the right of them.

    Far is ten times the distance from the median to the fastest sample.
    """
    middle = median(times)
    limit = middle + 10 * (middle - min(times))
    near = [time for time in times if time <= limit]
    return near, len(times) - len(near)


def multiply_adds_and_memory_access(record: Record) -> Figure:
    """Each layer that computes: work against traffic, with lines of equal intensity."""
    figure, axes = _figure(record, "multiply-adds and memory access per layer", height=5.5)
    working = [layer for layer in record.layers if layer.multiply_adds]
    by_kind: dict[str, list[Layer]] = {}
    for layer in working:
        by_kind.setdefault(_broad_kind(layer), []).append(layer)
    for colour, (name, marker) in zip(COLOURS, KINDS.items(), strict=True):
        layers = by_kind.get(name, [])
        if not layers:
            continue
        axes.scatter(
            [layer.multiply_adds for layer in layers],
            [layer.memory_access_fused for layer in layers],
            s=28,
            color=colour,
            marker=marker,
            alpha=0.7,
            label=f"{name} ({len(layers)})",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    _intensity_lines(axes)
    idle = sum(layer.memory_access_fused for layer in record.layers if not layer.multiply_adds)
    axes.set_xlabel("multiply-adds")
    axes.set_ylabel("memory access, fused (bytes)")
    axes.legend(
        fontsize="small",
        title=f"not drawn: {si(idle, 'B')} in layers\nwithout multiply-adds",
        title_fontsize="x-small",
    )
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    return figure


def _broad_kind(layer: Layer) -> str:
    for name in ("depthwise", "linear"):
        if name in layer.kind:
            return name
    if "groups" in layer.kind:
        return "grouped convolution"
    if layer.output_shape[2:] == (1, 1):
        return "convolution on a 1x1 map"
    return "1x1 convolution" if "conv 1x1" in layer.kind else "other convolution"


def _intensity_lines(axes: Axes) -> None:
    """Dotted lines along which a byte is worth the same number of multiply-adds."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for intensity in (0.1, 1.0, 10.0, 100.0):
        axes.plot(
            [left, right], [left / intensity, right / intensity], ":", color="grey", linewidth=0.8
        )
        # The label stands where the line leaves the picture: at the top or at the right.
        x, y = (top * intensity, top) if right / intensity > top else (right, right / intensity)
        if left < x and bottom < y:
            axes.annotate(
                f"{intensity:g} per byte",
                (x, y),
                xytext=(-3, -3),
                textcoords="offset points",
                fontsize="x-small",
                color="grey",
                ha="right",
                va="top",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=0.9,  # a layer's mark is never behind it
            )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _figure(record: Record, title: str, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _figures(record, title, rows=1, height=height)
    return figure, axes


def _figures(record: Record, title: str, rows: int, height: float) -> tuple[Figure, Sequence[Axes]]:
    # Figure itself, not pyplot: no global state, and no window system is asked for.
    from matplotlib.figure import Figure

    case = record.case
    figure = Figure(figsize=(8.0, height), layout="constrained")
    figure.suptitle(
        f"{case.name}: {title}\n{record.device_name}, {describe(case)}", fontsize="medium"
    )
    panels = figure.subplots(rows, 1, squeeze=False)
    return figure, [row[0] for row in panels]
