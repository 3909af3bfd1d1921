"""Where in a checkpoint the weights are: what training scripts, timm, Lightning and others write.

Averaged weights come before those that they are averages of, as timm takes them (`use_ema`).
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

# Where the weights are, if nothing is averaged.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
TIMMS_FIRST = ("state_dict_ema", "model_ema")  # in this order, before other averages
# Words in the name of an entry of averaged weights: "ema_state_dict", "averagedModel".
AVERAGING = frozenset(("ema", "averaged", "average", "averages", "avg", "swa", "polyak", "shadow"))
PREFIXES = ("module.", "_orig_mod.", "model.")  # of nn.DataParallel, torch.compile, Lightning
# What AveragedModel and others keep beside their averages.
COUNTERS = frozenset(
    ("n_averaged", "num_updates", "decay", "steps", "step", "initted", "updates", "collected")
)
STATISTICS = ("running_mean", "running_var")  # averages may lack them
DEEPEST = 8  # entries in entries
SAYS_NETWORK = ("architecture", "arch", "model_name", "model")  # a text there is a network's name
SETTINGS = ("args", "config", "cfg", "hyper_parameters", "pretrained_cfg")
MOST_NAMED = 5  # entries in a message
LONGEST_NAME = 60


class Checkpoint(NamedTuple):
    """The weights in a file, and what else there was."""

    tensors: Mapping[str, Tensor]
    entry: str = ""  # "model_ema"; "" is the file itself
    others: tuple[str, ...] = ()  # entries with tensors that were not taken
    averaged: bool = False
    nameless: tuple[str, ...] = ()  # averages that are a list: whose is which, nothing tells
    filled: tuple[str, ...] = ()  # names that the averages lack; they are of the last weights
    architecture: str | None = None  # what the file says the network is

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the choice, where there was one."""
        return tuple(_remarks(self))


def unwrapped(content: object) -> Checkpoint:
    """The weights in what was saved, without the prefixes that wrappers of modules add.

    Raises:
        ValueError: it holds no tensors by name; the message goes on after the file's name.
    """
    path: list[str] = []
    others: list[str] = []
    nameless: list[str] = []
    averaged = False
    outer, seen = content, {id(content)}
    last: Mapping[object, object] = {}  # the weights that the averages are of
    while isinstance(content, Mapping) and (found := _chosen(content, seen)) is not None:
        if len(path) == DEEPEST:
            raise ValueError(f"holds entries in entries, more than {DEEPEST} deep")
        others += [".".join([*path, _shown(name)]) for name in found.others]
        nameless += [".".join([*path, _shown(name)]) for name in found.nameless]
        last = found.last if found.averaged else last
        averaged |= found.averaged
        path.append(found.name)
        content = found.value
        seen.add(id(content))
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__} and no tensors by name")
    tensors = _named(content, averaged=averaged)
    if not tensors:
        held = ", ".join(_shown(name) for _, name in zip(range(MOST_NAMED), content, strict=False))
        raise ValueError(f"holds no tensors by name, but {held or 'nothing'}")
    missing = _statistics(tensors, last)
    return Checkpoint(
        tensors=tensors | missing,
        entry=".".join(path),
        others=tuple(others),
        averaged=averaged,
        nameless=tuple(nameless),
        filled=tuple(missing),
        architecture=network_name(outer),
    )


class _Choice(NamedTuple):
    """Which entry of a mapping is gone into."""

    name: str
    value: Mapping[object, object]
    averaged: bool
    others: tuple[str, ...]
    nameless: tuple[str, ...]
    last: Mapping[object, object]  # the weights beside averages; empty if there are none


def _chosen(content: Mapping[object, object], seen: set[int]) -> _Choice | None:
    """The entry with the weights; None where the mapping itself has them, or nothing has."""
    averages = dict(_averages(content, seen))
    plain = {
        name: value
        for name in WRAPPERS
        if (value := _mapping(content.get(name))) and _has_weights(value, seen)
    }
    held = plain | averages
    others = tuple(
        _shown(name)
        for name, value in content.items()
        if name not in held and isinstance(value, Mapping) and _has_weights(value, seen)
    )
    candidates = averages | plain
    if not candidates:
        return None
    name = next(iter(candidates))
    last = next(iter(plain.values()), {}) if averages else {}
    rest = tuple(other for other in held if other != name)
    nameless = () if averages else tuple(_nameless(content))
    is_averaged = name in averages or _swapped(content)
    return _Choice(name, candidates[name], is_averaged, (*rest, *others), nameless, last)


def _averages(
    content: Mapping[object, object], seen: set[int]
) -> Iterator[tuple[str, Mapping[object, object]]]:
    """Entries of averaged weights: timm's names first, then others in the order of the file."""
    if _swapped(content):
        return
    found = {
        name: value
        for name, item in _possible_averages(content)
        if (value := _mapping(item)) and _has_weights(value, seen)
    }
    yield from ((name, found.pop(name)) for name in TIMMS_FIRST if name in found)
    yield from found.items()


def _possible_averages(content: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    """Everything called an average: entries, and what Lightning's callbacks keep."""
    yield from ((str(name), item) for name, item in content.items() if _averaging(name))
    callbacks = content.get("callbacks")
    for name, state in _mapping(callbacks).items():
        for key, item in _mapping(state).items():
            if _averaging(key):
                yield f"callbacks.{_shown(name)}.{_shown(key)}", item


def _averaging(name: object) -> bool:
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        return False
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return not AVERAGING.isdisjoint(re.split(r"[^a-z]+", spaced.lower()))


def _swapped(content: Mapping[object, object]) -> bool:
    """Whether MMEngine wrote it: its hook puts the averages into `state_dict`, and the last
    weights into `ema_state_dict`.
    """
    return "ema_state_dict" in content and "mmengine_version" in _mapping(content.get("meta"))


def _has_weights(value: object, seen: set[int]) -> bool:
    """Whether there are tensors by name in a mapping, or in what it wraps."""
    waiting, looked_at = [value], set(seen)
    while waiting:
        item = waiting.pop()
        if not isinstance(item, Mapping) or id(item) in looked_at:
            continue
        looked_at.add(id(item))
        if any(isinstance(held, Tensor) for held in item.values()):
            return True
        waiting += [held for name, held in item.items() if name in WRAPPERS or _averaging(name)]
    return False


def _nameless(content: Mapping[object, object]) -> Iterator[str]:
    """Averages that are lists of tensors, as torch_ema keeps them."""
    for name, value in _possible_averages(content):
        items = [value, *_mapping(value).values()]
        if any(isinstance(item, (list, tuple)) and _starts_with_tensor(item) for item in items):
            yield name


def _starts_with_tensor(items: list[object] | tuple[object, ...]) -> bool:
    return bool(items) and isinstance(items[0], Tensor)


def _named(content: Mapping[object, object], *, averaged: bool) -> dict[str, Tensor]:
    """Tensors by name, without prefixes and without what counts the averaged steps."""
    counters = COUNTERS if averaged else {"n_averaged"}
    tensors = {
        str(name): item
        for name, item in content.items()
        if isinstance(item, Tensor) and name not in counters
    }
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), None):
        if not tensors:
            break
        tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
    return tensors


def _statistics(averages: Mapping[str, Tensor], last: Mapping[object, object]) -> dict[str, Tensor]:
    """The statistics of norms that averages of parameters alone lack."""
    inner = next((last[name] for name in WRAPPERS if isinstance(last.get(name), Mapping)), last)
    named = _named(_mapping(inner), averaged=False)
    return {
        name: item
        for name, item in named.items()
        if name.endswith(STATISTICS) and name not in averages
    }


def network_name(content: object) -> str | None:
    """What the file calls its network: timm's `arch`, its `pretrained_cfg`, arguments of a run."""
    outer = _mapping(content)
    for place in (outer, *(_mapping(outer.get(name)) for name in SETTINGS)):
        for key in SAYS_NETWORK:
            name = place.get(key)
            if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
                return name
    return None


def _mapping(value: object) -> Mapping[object, object]:
    """A mapping, or the arguments of a training script as one; else an empty one."""
    if isinstance(value, Namespace):
        return vars(value)  # type: ignore[return-value]
    return value if isinstance(value, Mapping) else {}


def _shown(name: object) -> str:
    text = str(name)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def _remarks(found: Checkpoint) -> Iterator[str]:
    others = ", ".join(repr(name) for name in found.others[:MOST_NAMED])
    more = ", ..." if len(found.others) > MOST_NAMED else ""
    beside = f"; the file also holds {others}{more}" if found.others else ""
    if found.averaged:
        yield f"weights are the averaged ones, entry {found.entry!r} of the file{beside}"
    elif beside:
        yield f"weights are entry {found.entry!r} of the file{beside}"
    for name in found.nameless[:MOST_NAMED]:
        yield (
            f"entry {name!r} of the file holds averages without names, which cannot be loaded: "
            "the weights are not averaged"
        )
    if found.filled:
        count = len(found.filled)
        yield f"the averages lack statistics of norms: {count} tensors are those of the last step"
