"""From photograph to tensor: against torch's resampling and against arithmetic by hand."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional as F

from architectures.preprocessing import (
    PREPROCESSING,
    Preprocessing,
    UnreadableImage,
    crop_box,
    preprocess,
)

PLAIN = Preprocessing((0.0,) * 3, (1.0,) * 3, crop_ratio=1.0)


@pytest.fixture
def chelsea(tmp_path: Path) -> Path:
    """The cat photograph of scikit-image, 451 x 300."""
    path = tmp_path / "chelsea.png"
    Image.fromarray(data.chelsea()).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "size", "resolution", "expected"),
    [
        # 224 / (224 + 32) = 7/8 of the shorter side, 300: 262.5 square around (225.5, 150)
        ("efficientnet", (451, 300), 224, (94.25, 18.75, 356.75, 281.25)),
        # 600 / 632 of 300
        ("efficientnet", (300, 300), 600, (7.594937, 7.594937, 292.405063, 292.405063)),
        # 240 / 272 of 300: 264.705882 square around (225.5, 150)
        ("efficientnet_lite", (451, 300), 240, (93.147059, 17.647059, 357.852941, 282.352941)),
        ("efficientnet_advprop", (451, 300), 224, (94.25, 18.75, 356.75, 281.25)),
        # 319 / 351 of 300, 272.649573; from 320 pixels on all of it, out of proportion
        ("efficientnet_v2", (451, 300), 319, (89.175214, 13.675214, 361.824786, 286.324786)),
        ("efficientnet_v2", (451, 300), 320, (0.0, 0.0, 451.0, 300.0)),
        ("efficientnet_v2", (451, 300), 480, (0.0, 0.0, 451.0, 300.0)),
        # 7/8 of each side
        ("inception", (400, 200), 224, (25.0, 12.5, 375.0, 187.5)),
        # the shorter side to 256, centre 224: 7/8 of the shorter side
        ("torchvision", (512, 256), 224, (144.0, 16.0, 368.0, 240.0)),
        ("megvii", (256, 512), 224, (16.0, 144.0, 240.0, 368.0)),
    ],
)
def test_crop(
    name: str, size: tuple[int, int], resolution: int, expected: tuple[float, ...]
) -> None:
    assert crop_box(size, resolution, PREPROCESSING[name]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mode", "antialias"), [("bilinear", True), ("bilinear", False), ("bicubic", True)]
)
def test_resampling_is_the_one_torch_calls_by_that_name(
    chelsea: Path, mode: str, antialias: bool
) -> None:
    """The whole photograph to 96 pixels; both round to whole pixel values on the way."""
    how = PLAIN._replace(interpolation=mode, antialias=antialias, square=False)
    ours = preprocess(chelsea, 96, how)
    pixels = torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None].float()
    theirs = F.interpolate(pixels, (96, 96), mode=mode, antialias=antialias, align_corners=False)
    assert (ours - theirs[0].clamp(0, 255)).abs().max() <= 1.0


def test_mean_and_deviation_are_taken_per_channel(tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), (255, 0, 51)).save(path)
    found = preprocess(path, 32, PREPROCESSING["efficientnet"])[:, 0, 0]
    # Red (1 - 0.485) / 0.229, green (0 - 0.456) / 0.224, blue (0.2 - 0.406) / 0.225.
    assert found.tolist() == pytest.approx([2.248908, -2.035714, -0.915556], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inception", [1.0, -1.0, -0.6]),  # 51 / 127.5 - 1
        ("efficientnet_advprop", [1.0, -1.0, -0.6]),  # 255 x 2 / 255 - 1 and so on
        ("efficientnet_lite", [1.0, -0.9921875, -0.59375]),  # (255 - 127) / 128 and so on
        ("efficientnet_v2", [0.9921875, -1.0, -0.6015625]),  # (255 - 128) / 128 and so on
        ("megvii", [51.0, 0.0, 255.0]),  # as they are, blue first
    ],
)
def test_one_mean_and_deviation_for_all(tmp_path: Path, name: str, expected: list[float]) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), (255, 0, 51)).save(path)
    found = preprocess(path, 32, PREPROCESSING[name])[:, 5, 5]
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "interpolation"),
    [
        ("efficientnet", "bicubic"),
        ("efficientnet_advprop", "bicubic"),
        ("efficientnet_lite", "bicubic"),
        ("efficientnet_v2", "bilinear"),
    ],
)
def test_resampling_of_the_families_from_tensorflow(name: str, interpolation: str) -> None:
    """resize_bicubic in efficientnet/preprocessing.py; tf.image.resize's own in V2's."""
    assert PREPROCESSING[name].interpolation == interpolation


def test_a_wide_photograph_is_squeezed_from_320_pixels_on(tmp_path: Path) -> None:
    """Left half black, right half white: the whole of it is there, its middle in the middle."""
    path = tmp_path / "wide.png"
    pixels = np.zeros((320, 960, 3), np.uint8)
    pixels[:, 480:] = 255
    Image.fromarray(pixels).save(path)
    found = preprocess(path, 320, PREPROCESSING["efficientnet_v2"])[0, 0]  # 3 columns to one
    assert found[:159].max() == -1.0
    assert found[161:].min() == 127 / 128


def test_megvii_feeds_blue_first_and_raw(tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    Image.new("RGB", (300, 300), (200, 100, 7)).save(path)
    found = preprocess(path, 224, PREPROCESSING["megvii"])
    assert found.shape == (3, 224, 224)
    assert found[:, 5, 5].tolist() == [7.0, 100.0, 200.0]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_colour_mode_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tiff"
    Image.fromarray(np.full((40, 40), 100, np.uint16)).save(path) if mode == "I;16" else (
        Image.new("RGB", (40, 40), (9, 9, 9)).convert(mode).save(path)
    )
    assert preprocess(path, 32, PREPROCESSING["torchvision"]).shape == (3, 32, 32)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 40 * 40).astype(np.uint16).reshape(40, 40)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    found = preprocess(tmp_path / "deep.png", 40, PLAIN)
    assert (found - torch.from_numpy(grey / 257.0)).abs().max() <= 0.5


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_unknown_range_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (40, 40), 1).save(tmp_path / "odd.tiff")
    with pytest.raises(ValueError, match="8 or 16 bits"):
        preprocess(tmp_path / "odd.tiff", 32, PLAIN)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="not a file"):
        preprocess(tmp_path / "pipe.png", 32, PLAIN)


def test_a_photograph_taken_sideways_is_turned(tmp_path: Path) -> None:
    """EXIF orientation 6: the top row of the picture is the file's left column."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "sideways.png", exif=exif)
    found = preprocess(tmp_path / "sideways.png", 40, PLAIN)
    assert found[0, :20].min() == 255
    assert found[0, 20:].max() == 0


def test_damage_that_makes_pillow_raise_anything_is_named(tmp_path: Path) -> None:
    """A TIFF whose strip begins at a floating-point number: a TypeError in Pillow 12 and 13."""
    path = tmp_path / "damaged.tiff"
    Image.new("RGB", (40, 40)).save(path)
    content = bytearray(path.read_bytes())
    offset = content.index(struct.pack("<HHI", 273, 4, 1))  # tag StripOffsets, LONG, one
    content[offset : offset + 12] = struct.pack("<HHIf", 273, 11, 1, 140.0)
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match="cannot be read as an image") as raised:
        preprocess(path, 32, PLAIN)
    assert raised.value.reason.startswith("cannot be read")


def test_what_is_no_image_is_named(tmp_path: Path, chelsea: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(chelsea.read_bytes()[:2000])
    for path in (text, truncated, tmp_path / "absent.png", tmp_path):
        with pytest.raises(ValueError, match=path.name):
            preprocess(path, 32, PLAIN)
