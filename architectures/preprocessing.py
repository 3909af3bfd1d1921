"""From a photograph to a network's input tensor, as each family's own code evaluates it.

A photograph is cropped around its centre and resized in one step. Pillow's resampling
smooths when it shrinks; OpenCV's bilinear does not, hence `antialias`. TensorFlow's original
does not smooth either, but the PyTorch ports, whose checkpoints people load, all use Pillow:
so do we for the families that come from TensorFlow.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from architectures.files import shown, why_no_file

LONGEST_REASON = 300  # characters
PROGRAMS = ("EPS",)  # formats that Pillow has another program execute


class UnreadableImage(ValueError):
    """A file that cannot be decoded; `reason` says why, without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{shown(path)} {reason}")
        self.reason = reason


class Preprocessing(NamedTuple):
    """How pixels (0 to 255) become input: region, resampling, (pixel - mean) / std, channels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"
    antialias: bool = True
    crop_ratio: float | None = 0.875  # None: resolution / (resolution + 32)
    square: bool = True  # of the shorter side; else of each side, which distorts
    whole_from: int | None = None  # from this resolution on, all of the image, which distorts
    bgr: bool = False


IMAGENET_MEAN = (123.675, 116.28, 103.53)  # 255 x (0.485, 0.456, 0.406)
IMAGENET_STD = (58.395, 57.12, 57.375)  # 255 x (0.229, 0.224, 0.225)

PREPROCESSING = {
    # tensorflow/tpu models/official/efficientnet/preprocessing.py (its padding was 32 pixels
    # when the checkpoints were published, and is proportional to the resolution since)
    "efficientnet": Preprocessing(
        IMAGENET_MEAN, IMAGENET_STD, interpolation="bicubic", crop_ratio=None
    ),
    # The same; pixels x 2 / 255 - 1: eval_ckpt_main.py beside it, `advprop_preprocessing`
    "efficientnet_advprop": Preprocessing(
        (127.5,) * 3, (127.5,) * 3, interpolation="bicubic", crop_ratio=None
    ),
    # The same; mean and deviation of lite/efficientnet_lite_builder.py
    "efficientnet_lite": Preprocessing(
        (127.0,) * 3, (128.0,) * 3, interpolation="bicubic", crop_ratio=None
    ),
    # tensorflow/tpu models/official/mnasnet/preprocessing.py
    "mnasnet": Preprocessing(IMAGENET_MEAN, IMAGENET_STD, crop_ratio=None),
    # google/automl efficientnetv2/preprocessing.py, `preprocess_for_eval`
    "efficientnet_v2": Preprocessing((128.0,) * 3, (128.0,) * 3, crop_ratio=None, whole_from=320),
    # tensorflow/models research/slim/preprocessing/inception_preprocessing.py
    "inception": Preprocessing((127.5,) * 3, (127.5,) * 3, square=False),
    # torchvision's reference: resize the shorter side to 256, crop 224
    "torchvision": Preprocessing(IMAGENET_MEAN, IMAGENET_STD),
    # megvii-model/ShuffleNet-Series: OpenCV, raw pixels
    "megvii": Preprocessing((0.0,) * 3, (1.0,) * 3, antialias=False, bgr=True),
}


class Photograph(NamedTuple):
    """A decoded image, and what to know of how it was decoded."""

    image: Image.Image  # RGB
    remarks: tuple[str, ...] = ()


def preprocess(
    path: Path, resolution: int, how: Preprocessing, *, as_published: bool = False
) -> Tensor:
    """(3, resolution, resolution), fp32; `as_published`: decoded as `published_image` does.

    Every step is Pillow's or NumPy's, so that threads may prepare images side by side:
    torch's would start threads of their own in each of them.

    Raises:
        UnreadableImage: the file is not an image that can be decoded; the message says why.
    """
    image = published_image(path) if as_published else photograph(path).image
    return crop(image, crop_box(image.size, resolution, how), resolution, how)


def crop(
    image: Image.Image, box: tuple[float, float, float, float], resolution: int, how: Preprocessing
) -> Tensor:
    """(3, resolution, resolution), fp32, of a region: left, upper, right and lower edge."""
    pixels = np.asarray(_resize(image, resolution, box, how), dtype=np.float32)  # (H, W, 3)
    normalised = (pixels - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    channels_first = normalised.transpose(2, 0, 1)
    ordered = channels_first[::-1] if how.bgr else channels_first
    return torch.from_numpy(np.ascontiguousarray(ordered))


def photograph(path: Path) -> Photograph:
    """The image in a file as one sees it: upright, and on white where it is transparent.

    Raises:
        UnreadableImage: there is no such file, or it is not an image, or it is truncated.
    """
    with _opened(path) as file:
        image, transparent = _on_white(_eight_bits(ImageOps.exif_transpose(file)))
        remarks = [f"what is transparent in {shown(path)} is fed as white"] * transparent
        if _has_second_frame(file):
            remarks.append(f"of the frames of {shown(path)} the first one is fed")
        return Photograph(image, tuple(remarks))


def published_image(path: Path) -> Image.Image:
    """The RGB image in a file as the code decodes it that published accuracies were taken with.

    torchvision, timm and TensorFlow drop transparency and do not turn an image.

    Raises:
        UnreadableImage: there is no such file, or it is not an image, or it is truncated.
    """
    with _opened(path) as file:
        return _eight_bits(file).convert("RGB")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file, whatever goes wrong while it is read being an UnreadableImage."""
    wrong = why_no_file(path)
    if wrong is not None:
        raise UnreadableImage(path, wrong)
    try:
        # Pillow warns of large pictures and odd palettes; it refuses what is dangerous.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            if image.format in PROGRAMS:
                raise ValueError(f"{image.format} is a program and no picture")
            yield image
    except UnidentifiedImageError as error:
        raise UnreadableImage(path, "is not an image") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make Pillow raise any: a TypeError from a TIFF
        reason = str(getattr(error, "strerror", None) or error or type(error).__name__)
        first = reason.strip().split("\n")[0][:LONGEST_REASON]
        raise UnreadableImage(path, f"cannot be read as an image: {first}") from error


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """An image in RGB on a white ground, and whether any of that can be seen."""
    if not image.has_transparency_data:
        return image.convert("RGB"), False
    seen = image.convert("RGBA")
    if seen.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), False
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, seen).convert("RGB"), True


def _has_second_frame(file: Image.Image) -> bool:
    """Whether there is more than one picture in the file, other than a camera's own additions."""
    if file.format == "MPO":
        return False
    try:
        file.seek(1)
    except Exception:  # noqa: BLE001 - there is none, or none that could be fed
        return False
    return True


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit grey image scaled to 8 bits; Pillow's own conversion would cut it off at 255.

    Raises:
        ValueError: the pixels are numbers whose range nothing tells.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are of mode {image.mode}; 8 or 16 bits a channel are allowed")
    if not image.mode.startswith("I;16"):
        return image
    pixels = np.asarray(image, np.uint16)
    grey = Image.fromarray((pixels / 257).round().astype(np.uint8))
    clear = image.info.get("transparency")  # one shade that is not to be seen
    if isinstance(clear, int):
        alpha = Image.fromarray(np.where(pixels == clear, 0, 255).astype(np.uint8))
        return Image.merge("LA", (grey, alpha))
    return grey


def crop_box(
    size: tuple[int, int], resolution: int, how: Preprocessing
) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of the centred region that is fed."""
    if how.whole_from is not None and resolution >= how.whole_from:
        return 0.0, 0.0, float(size[0]), float(size[1])
    ratio = resolution / (resolution + 32) if how.crop_ratio is None else how.crop_ratio
    width, height = (min(size), min(size)) if how.square else size
    left, upper = (size[0] - width * ratio) / 2, (size[1] - height * ratio) / 2
    return left, upper, left + width * ratio, upper + height * ratio


def _resize(
    image: Image.Image, resolution: int, box: tuple[float, float, float, float], how: Preprocessing
) -> Image.Image:
    filter_ = Image.Resampling[how.interpolation.upper()]
    size = (resolution, resolution)
    if how.antialias:
        return image.resize(size, filter_, box=box)
    return image.transform(size, Image.Transform.EXTENT, box, filter_)
