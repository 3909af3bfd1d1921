"""What an input folder holds: images in class folders, or images beside a file of labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchbench.cases import Case, expanded
from benchbench.datasets.classes import allowed_labels, class_index
from benchbench.datasets.labels import read_labels
from benchbench.errors import UserError

IMAGE_ENDINGS = (  # those of torchvision's ImageFolder, and GIF
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)


class LabelledImage(NamedTuple):
    path: Path
    label: int  # index of its class


class Dataset(NamedTuple):
    folder: Path
    images: tuple[LabelledImage, ...]
    labels: str  # where they come from
    remarks: tuple[str, ...] = ()  # what to know before believing a figure


class Contents(NamedTuple):
    """The top level of an input folder, sorted; one of the two is empty."""

    folder: Path
    class_folders: tuple[Path, ...]
    images: tuple[Path, ...]


def labelled_images(case: Case, classes: int) -> Dataset:
    """Every image of a case's input folder, sorted, with its class among so many.

    Raises:
        UserError: the folder or the labels cannot be read, fit neither each other nor the
            classes, or there is no image.
    """
    contents = read_contents(case)
    if contents.class_folders:
        found = _by_folder(contents, classes)
    else:
        found = _by_label_file(contents, expanded("labels", str(case.labels)), classes)
    if not found.images:
        raise _no_image(found.folder)
    return found


def read_contents(case: Case) -> Contents:
    """Look into a case's input folder, no deeper than its first level.

    Raises:
        UserError: it is no folder, holds nothing or both kinds, or labels do not go with it.
    """
    folder = expanded("input", case.input)
    try:
        with os.scandir(folder) as scan:  # tells folders from files without asking for each
            kinds = sorted((entry.name, entry.is_dir()) for entry in scan)
    except OSError as error:
        raise UserError(
            f"input={folder}: {error.strerror}; a folder of images is needed"
        ) from error
    class_folders = tuple(
        folder / name for name, is_dir in kinds if is_dir and not name.startswith(".")
    )
    images = tuple(folder / name for name, is_dir in kinds if _is_image(name) and not is_dir)
    if class_folders and images:
        both = f"both folders ({class_folders[0].name}) and images ({images[0].name})"
        raise UserError(f"input={folder} holds {both}; allowed is one of them")
    if not class_folders and not images:
        raise _no_image(folder)
    if class_folders and case.labels is not None:
        why = f"the class folders of input={folder} ({class_folders[0].name}) are the labels"
        raise UserError(f"labels={case.labels}: {why}")
    if images and case.labels is None:
        raise UserError(f"input={folder} has no class folders: say labels=FILE")
    return Contents(folder, class_folders, images)


def _no_image(folder: Path) -> UserError:
    return UserError(f"input={folder}: no image; allowed endings are {' '.join(IMAGE_ENDINGS)}")


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")


def _by_folder(contents: Contents, classes: int) -> Dataset:
    folders = contents.class_folders
    indices = [class_index(folder.name, classes) for folder in folders]
    strangers = [
        folder.name for folder, index in zip(folders, indices, strict=True) if index is None
    ]
    remarks = []
    source = "class folders, by number or WordNet id"
    if strangers and len(folders) == classes:
        indices = list(range(classes))
        source = "class folders, in sorted order"
        remarks = ["classes are numbered in the sorted order of their folders, as by torchvision"]
    elif strangers:
        raise UserError(
            f"input={contents.folder}: class folder {strangers[0]!r}: allowed are "
            f"{allowed_labels(classes)}, or as many folders as the network has classes: "
            f"{classes}, and not {len(folders)}"
        )
    images = [
        LabelledImage(path, index)
        for folder, index in zip(folders, indices, strict=True)
        if index is not None
        for path in sorted(_images_below(folder))
    ]
    return Dataset(contents.folder, tuple(images), source, tuple(remarks))


def _images_below(folder: Path) -> Iterator[Path]:
    """The images in a folder and those below it, each folder once wherever links lead.

    Raises:
        UserError: a folder cannot be read.
    """
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and os.path.realpath(Path(parent, name)) not in seen
        ]
        yield from (Path(parent, name) for name in files if _is_image(name))


def _refuse(error: OSError) -> None:
    raise UserError(f"input={error.filename}: {error.strerror}") from error


def _by_label_file(contents: Contents, file: Path, classes: int) -> Dataset:
    labels = read_labels(file, classes)
    if isinstance(labels, Mapping):
        return _by_name(contents, labels, file)
    return _in_order(contents, labels, file)


def _in_order(contents: Contents, labels: Sequence[int], file: Path) -> Dataset:
    if len(labels) != len(contents.images):
        raise UserError(
            f"labels={file}: as many labels without names as input={contents.folder} has images "
            f"are allowed, in the order of the file names: {len(contents.images)}, "
            f"and not {len(labels)}"
        )
    pairs = zip(contents.images, labels, strict=True)
    images = tuple(LabelledImage(path, label) for path, label in pairs)
    return Dataset(contents.folder, images, "labels file, in the sorted order of the file names")


def _by_name(contents: Contents, labels: Mapping[str, int], file: Path) -> Dataset:
    keys = {path: path.name if path.name in labels else path.stem for path in contents.images}
    images = tuple(LabelledImage(path, labels[key]) for path, key in keys.items() if key in labels)
    unlabelled = [path.name for path, key in keys.items() if key not in labels]
    unused = sorted(labels.keys() - keys.values())
    if not images:
        why = f"none of its names ({unused[0]}) is an image ({unlabelled[0]})"
        raise UserError(f"labels={file}: {why} of input={contents.folder}")
    remarks = []
    if unlabelled:
        remarks.append(f"images without a label, left out: {len(unlabelled)} ({unlabelled[0]})")
    if unused:
        remarks.append(f"labels without an image: {len(unused)} ({unused[0]})")
    return Dataset(contents.folder, images, "labels file, by file name", tuple(remarks))
