"""Pixels in batches, prepared by threads while the network computes."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from architectures.preprocessing import PREPROCESSING, UnreadableImage, preprocess
from benchbench.cases import Case
from benchbench.cores import cores
from benchbench.datasets.folder import LabelledImage

THREADS = 4  # at most; Pillow and NumPy let go of the interpreter while they work
AHEAD = 2  # batches under preparation beside the one that is computed


class Prepared(NamedTuple):
    pixels: Tensor  # (3, H, W), fp32
    label: int


class Corrupt(NamedTuple):
    """An image that cannot be read, and why."""

    path: Path
    reason: str


def prepare(image: LabelledImage, case: Case) -> Prepared | Corrupt:
    """Decode an image and prepare it as the network of a case wants it."""
    try:
        how = PREPROCESSING[case.preprocessing]
        pixels = preprocess(image.path, case.resolution, how, as_published=True)
        return Prepared(pixels, image.label)
    except UnreadableImage as error:
        return Corrupt(image.path, error.reason)


def batches(
    images: Sequence[LabelledImage], case: Case
) -> Generator[list[Prepared | Corrupt], None, None]:
    """All images in their order, `case.batch_size` at a time; the last batch may be smaller.

    No more than `AHEAD` batches are prepared before they are asked for, so memory does not
    grow with the number of images. Close the iterator: it owns threads.
    """
    # Pillow loads its formats when it first needs them. Two threads that do so at once may
    # take a good WebP for no image at all.
    Image.init()
    pool = ThreadPoolExecutor(min(THREADS, len(cores())))
    waiting: deque[list[Future[Prepared | Corrupt]]] = deque()
    # The threads' own `catch_warnings` overlap, and one would undo what another needs.
    with warnings.catch_warnings(action="ignore"):
        try:
            for start in range(0, len(images), case.batch_size):
                chunk = images[start : start + case.batch_size]
                waiting.append([pool.submit(prepare, image, case) for image in chunk])
                if len(waiting) > AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)
