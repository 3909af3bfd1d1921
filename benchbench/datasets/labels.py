"""Files of labels, in the three forms that come with ImageNet's validation images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from architectures.files import shown, why_no_file
from benchbench.datasets.classes import allowed_labels, class_index
from benchbench.errors import UserError

KAGGLE_HEADER = "ImageId,PredictionString"
FORMS = "a line is 'FILE LABEL', 'ID,LABEL ...' (Kaggle) or one LABEL for each file in order"
LARGEST = 2**26  # bytes; those of ImageNet's training images have 40 MB
DEVKIT = (
    "; the devkit's ILSVRC2012_validation_ground_truth.txt numbers classes from 1 in another "
    "order and cannot be used"
)

# The name of an image, empty where there is none, and its label; None: not of this form.
Split = Callable[[str], tuple[str, str] | None]


def read_labels(path: Path, classes: int) -> Mapping[str, int] | Sequence[int]:
    """The class index of each image, by its name or in the order of the names.

    Names come with the ending of the file (Caffe's val.txt) or without (Kaggle's
    LOC_val_solution.csv).

    Raises:
        UserError: the file cannot be read, or a line of it is no label of these classes.
    """
    lines = _lines(path)
    split = _form(lines[0][1])
    if split is _kaggle:
        lines = lines[1:]
    named: dict[str, int] = {}
    ordered: list[int] = []
    for number, line in lines:
        where = f"labels={path}: line {number}"
        found = split(line)
        if found is None:
            raise UserError(f"{where}: {line[:60]!r} is not like the first; {FORMS}")
        name, label = found
        index = _index(label, classes, where)
        if split is _bare:
            ordered.append(index)
        elif named.setdefault(name, index) != index:
            raise UserError(f"{where}: a second label for {name}: {index} after {named[name]}")
    return ordered if split is _bare else named


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    wrong = why_no_file(path)
    if wrong is not None:
        raise UserError(f"labels={shown(path)} {wrong}")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(f"labels={path} has more than {LARGEST:,} bytes; {FORMS}")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"labels={path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"labels={path} is not text; {FORMS}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    found = [(number, line) for number, line in lines if line]
    if not found:
        raise UserError(f"labels={path} is empty; {FORMS}")
    return found


def _form(line: str) -> Split:
    if line == KAGGLE_HEADER:
        return _kaggle
    return _caffe if len(line.split()) > 1 else _bare


def _caffe(line: str) -> tuple[str, str] | None:
    name, *label = line.rsplit(maxsplit=1)
    return (PurePosixPath(name).name, label[0]) if label else None


def _kaggle(line: str) -> tuple[str, str] | None:
    """Boxes follow the label: a label and four numbers, once or more, all of the same class."""
    name, _, boxes = line.partition(",")
    return (name, boxes.split()[0]) if boxes.strip() else None


def _bare(line: str) -> tuple[str, str] | None:
    return ("", line) if len(line.split()) == 1 else None


def _index(label: str, classes: int, where: str) -> int:
    index = class_index(label, classes)
    if index is None:
        numbers_differ = DEVKIT if label.isdecimal() else ""
        allowed = allowed_labels(classes)
        raise UserError(f"{where}: label {label[:60]!r}: allowed are {allowed}{numbers_differ}")
    return index
