"""Folders of images whose classes are known, and folders that are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.cases import Case
from benchbench.datasets.folder import Dataset, labelled_images
from benchbench.errors import UserError

MakeCase = Callable[..., Case]


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(dataset: Dataset) -> list[tuple[str, int]]:
    return [(image.path.as_posix(), image.label) for image in dataset.images]


def test_class_folders_by_number(case: MakeCase) -> None:
    """Sorted by folder, then by path; other files and hidden ones are none of ours."""
    touch("set/10/b.JPEG", "set/10/a.png", "set/2/deep/er/c.Webp", "set/2/d.gif")
    touch("set/2/notes.txt", "set/2/.hidden.png", "set/.git/x.png", "set/2/.cache/y.png")
    touch("set/readme.md", "set/10/._b.JPEG")
    assert found(labelled_images(case(input="set"), 11)) == [
        ("set/10/a.png", 10),
        ("set/10/b.JPEG", 10),
        ("set/2/d.gif", 2),
        ("set/2/deep/er/c.Webp", 2),
    ]


def test_a_subset_of_imagenet_by_identifier(case: MakeCase) -> None:
    touch("nette/n03888257/a.JPEG", "nette/n01440764/b.JPEG")
    dataset = labelled_images(case(input="nette"), 1000)
    assert found(dataset) == [("nette/n01440764/b.JPEG", 0), ("nette/n03888257/a.JPEG", 701)]
    assert dataset.remarks == ()


def test_as_many_folders_as_classes_count_in_sorted_order(case: MakeCase) -> None:
    """torchvision's ImageFolder; a class without images counts, and it is said how it was done."""
    touch("set/dog/a.png", "set/Cat/b.png", "set/ant/c.png")
    Path("set/bee").mkdir()
    dataset = labelled_images(case(input="set"), 4)
    assert found(dataset) == [("set/Cat/b.png", 0), ("set/ant/c.png", 1), ("set/dog/a.png", 3)]
    assert "sorted order" in dataset.labels
    assert "sorted order" in dataset.remarks[0]


def test_ten_identifiers_for_ten_outputs_are_in_sorted_order(case: MakeCase) -> None:
    """A network trained on Imagenette's own ten classes has no ImageNet indices."""
    touch("nette/n03888257/a.JPEG", "nette/n01440764/b.JPEG")
    assert found(labelled_images(case(input="nette"), 2)) == [
        ("nette/n01440764/b.JPEG", 0),
        ("nette/n03888257/a.JPEG", 1),
    ]


def test_links_are_followed_once(case: MakeCase) -> None:
    touch("elsewhere/a.png", "set/1/b.png")
    Path("set/0").symlink_to(Path("elsewhere").resolve(), target_is_directory=True)
    Path("set/1/round").symlink_to(Path("set/1").resolve(), target_is_directory=True)
    assert found(labelled_images(case(input="set"), 2)) == [("set/0/a.png", 0), ("set/1/b.png", 1)]


def test_a_flat_folder_by_names(case: MakeCase) -> None:
    """With endings as Caffe's, without as Kaggle's."""
    touch("val/ILSVRC2012_val_00000002.JPEG", "val/ILSVRC2012_val_00000001.JPEG")
    expected = [
        ("val/ILSVRC2012_val_00000001.JPEG", 65),
        ("val/ILSVRC2012_val_00000002.JPEG", 970),
    ]
    Path("caffe.txt").write_text(
        "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 970\n"
    )
    Path("kaggle.csv").write_text(
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00000002,n09193705 1 2 3 4\nILSVRC2012_val_00000001,n01751748 1 2 3 4\n"
    )
    for labels in ("caffe.txt", "kaggle.csv"):
        dataset = labelled_images(case(input="val", labels=labels), 1000)
        assert (found(dataset), dataset.remarks) == (expected, ())


def test_a_flat_folder_in_order(case: MakeCase) -> None:
    touch("val/b.png", "val/a.png", "val/B.png", "val/.hidden.png", "val/list.txt")
    Path("order.txt").write_text("1\n2\n0\n")
    assert found(labelled_images(case(input="val", labels="order.txt"), 3)) == [
        ("val/B.png", 1),
        ("val/a.png", 2),
        ("val/b.png", 0),
    ]


def test_leftovers_on_either_side_are_counted_and_named(case: MakeCase) -> None:
    touch("val/a.png", "val/b.png", "val/c.png")
    Path("names.txt").write_text("b.png 1\nx.png 0\ny.png 0\n")
    dataset = labelled_images(case(input="val", labels="names.txt"), 2)
    assert found(dataset) == [("val/b.png", 1)]
    assert dataset.remarks == (
        "images without a label, left out: 2 (a.png)",
        "labels without an image: 2 (x.png)",
    )


LABELS = {"two.txt": "0\n1\n", "others.txt": "x.png 0\ny.png 1\n", "names.txt": "a.png 0\n"}


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        ([], None, ["input=set", "No such file"]),
        (["set"], None, ["input=set", "Not a directory"]),
        (["set/.hidden.png"], None, ["no image", ".jpeg"]),
        (["set/notes.txt"], "two.txt", ["no image", ".jpeg"]),
        (["set/0/notes.txt"], None, ["no image", ".jpeg"]),
        (["set/a.png"], None, ["input=set", "labels=FILE"]),
        (["set/0/a.png"], "two.txt", ["labels=two.txt", "input=set (0)"]),
        (["set/0/a.png", "set/b.png"], None, ["folders (0)", "images (b.png)"]),
        (["set/0/a.png", "set/b.png"], "two.txt", ["folders (0)", "images (b.png)"]),
        (["set/0/a.png", "set/cat/b.png"], None, ["'cat'", "numbers from 0 to 2", "3, and not 2"]),
        (["set/0/a.png", "set/3/b.png"], None, ["'3'", "numbers from 0 to 2", "3, and not 2"]),
        (
            ["set/a.png"],
            "two.txt",
            ["labels=two.txt", "in the order of the file names: 1, and not 2"],
        ),
        (["set/a.png"], "others.txt", ["none of its names (x.png)", "(a.png) of input=set"]),
        (["set/a.png"], "nosuch.txt", ["labels=nosuch.txt", "No such file"]),
        (["set/a.png"], "~nobodyatall/x", ["labels=~nobodyatall/x"]),
    ],
)
def test_what_does_not_fit_is_named(
    case: MakeCase, images: list[str], labels: str | None, parts: list[str]
) -> None:
    for name, text in LABELS.items():
        Path(name).write_text(text)
    touch(*images)
    with pytest.raises(UserError) as raised:
        labelled_images(case(input="set", labels=labels), 3)
    assert "\n" not in str(raised.value)
    for part in parts:
        assert part in str(raised.value)


def test_a_folder_that_cannot_be_read_is_no_empty_one(
    case: MakeCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("set/0/closed/a.png", "set/1/b.png")
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run the tests, reads everything
    with pytest.raises(UserError, match=r"^input=set/0/closed: Permission denied$"):
        labelled_images(case(input="set"), 2)
