"""Files of labels as they come with ImageNet, line for line as their publishers write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchbench.datasets.labels import read_labels
from benchbench.errors import UserError

FILE = Path("labels.txt")


def test_caffes_val_txt() -> None:
    """The first lines of caffe_ilsvrc12.tar.gz's val.txt."""
    FILE.write_text(
        "ILSVRC2012_val_00000001.JPEG 65\n"
        "ILSVRC2012_val_00000002.JPEG 970\n"
        "val/ILSVRC2012_val_00000003.JPEG 230\n"
    )
    assert read_labels(FILE, 1000) == {
        "ILSVRC2012_val_00000001.JPEG": 65,
        "ILSVRC2012_val_00000002.JPEG": 970,
        "ILSVRC2012_val_00000003.JPEG": 230,
    }


def test_names_with_blanks_and_identifiers() -> None:
    FILE.write_text("a cat.png n02124075\r\n\r\n dog.png\t0 \r\n")
    assert read_labels(FILE, 1000) == {"a cat.png": 285, "dog.png": 0}


def test_kaggles_solution() -> None:
    """The label and its box; several boxes are all of the same class."""
    FILE.write_text(
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"
        "ILSVRC2012_val_00037956,n03481172 131 0 499 254 n03481172 1 2 3 4 \n"
    )
    assert read_labels(FILE, 1000) == {
        "ILSVRC2012_val_00048981": 740,  # power drill
        "ILSVRC2012_val_00037956": 587,  # hammer
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("65\n970\n230\n", [65, 970, 230]),
        ("\ufeff65\n970", [65, 970]),  # as Windows' editors save it
        # The first lines of TensorFlow's imagenet_2012_validation_synset_labels.txt
        ("n01751748\nn09193705\nn02105855\n", [65, 970, 230]),
    ],
)
def test_one_label_a_line(text: str, expected: list[int]) -> None:
    FILE.write_text(text, encoding="utf-8")
    assert read_labels(FILE, 1000) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # The first lines of the devkit's ground truth, and one that the full file has.
        (
            "490\n361\n171\n1000\n",
            "line 4: label '1000': allowed are numbers from 0 to 999 .*devkit",
        ),
        ("a.png -1\n", "line 1: label '-1': allowed are numbers from 0 to 999"),
        ("a.png 3\nb.png cat\n", "line 2: label 'cat': allowed are .* WordNet ids"),
        ("a.png 3\n5\n", "line 2: '5' is not like the first"),
        ("5\na.png 3\n", "line 2: 'a.png 3' is not like the first"),
        ("ImageId,PredictionString\nx\n", "line 2: 'x' is not like the first"),
        ("ImageId,PredictionString\nx, \n", "line 2: 'x,' is not like the first"),
        ("a.png 3\na.png 4\n", "line 2: a second label for a.png: 4 after 3"),
        ("", "is empty"),
        (" \n\n", "is empty"),
    ],
)
def test_what_is_no_label_is_named_with_its_line(text: str, message: str) -> None:
    FILE.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        read_labels(FILE, 1000)
    assert str(raised.value).startswith("labels=labels.txt")
    assert "\n" not in str(raised.value)


def test_the_same_label_twice_is_none_too_many() -> None:
    FILE.write_text("a.png 3\na.png 3\n")
    assert read_labels(FILE, 10) == {"a.png": 3}


def test_identifiers_need_imagenets_classes() -> None:
    FILE.write_text("n01440764\n")
    with pytest.raises(UserError, match=r"allowed are numbers from 0 to 9$"):
        read_labels(FILE, 10)


def test_files_that_cannot_be_read() -> None:
    Path("image.png").write_bytes(b"\x89PNG\r\n\xff")
    os.mkfifo("pipe")
    for name, message in {
        "absent.txt": "No such file",
        "image.png": "is not text",
        "pipe": "is not a file",
        ".": "is not a file",
    }.items():
        with pytest.raises(UserError, match=f"^labels={name}.*{message}"):
            read_labels(Path(name), 10)
