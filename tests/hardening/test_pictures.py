"""Pictures of all kinds, through the command line: each is fed, or refused in one line."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from conftest import Finished
from PIL import Image, ImageDraw, PngImagePlugin

from architectures.preprocessing import photograph, published_image

Cli = Callable[..., Finished]
Make = Callable[[Path], Any]
SIDE = 24


def photo(mode: str = "RGB", size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """Noise, in a mode of Pillow."""
    noise = numpy.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8)
    return Image.fromarray(noise).convert(mode)


def saved(image: Image.Image, format_: str = "PNG", **options: Any) -> Make:
    return lambda path: image.save(path, format_, **options)


def raw(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def transparent(mode: str) -> Image.Image:
    """A grey square; noise lies under what is transparent."""
    image, alpha = photo("RGB"), Image.new("L", (SIDE, SIDE), 0)
    for each, colour in ((image, "grey"), (alpha, 255)):
        ImageDraw.Draw(each).rectangle((8, 8, 15, 15), fill=colour)
    image.putalpha(alpha)
    return image.convert(mode)


def on_white() -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(image).rectangle((8, 8, 15, 15), fill="grey")
    return image


def one_colour_transparent(mode: str) -> Image.Image:
    """Two colours, of which a tRNS chunk makes the darker one transparent."""
    image = Image.new(mode, (SIDE, SIDE), 0)
    ImageDraw.Draw(image).rectangle((8, 8, 15, 15), fill="grey" if mode == "RGB" else 128)
    return image


def palette(entries: bytes) -> Image.Image:
    image = Image.new("P", (SIDE, SIDE), 1)
    image.putpalette([128, 128, 128, 1, 2, 3])
    ImageDraw.Draw(image).rectangle((8, 8, 15, 15), fill=0)
    image.info["transparency"] = entries
    return image


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + data


def text_bomb(path: Path) -> None:
    inflated = zlib.compress(bytes(70_000_000))
    path.write_bytes(png(8, 8, *[chunk(b"zTXt", b"a\0\0" + inflated)] * 2) + chunk(b"IEND", b""))


def cut(make: Make, share: float = 0.5) -> Make:
    def shortened(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return shortened


def at_socket(path: Path) -> None:
    held = socket.socket(socket.AF_UNIX)
    held.bind(path.name)
    held.close()


def sixteen_bits() -> Image.Image:
    return Image.fromarray(
        numpy.linspace(0, 65535, SIDE * SIDE).astype(numpy.uint16).reshape(SIDE, SIDE)
    )


FRAMES = [photo(), Image.new("RGB", (SIDE, SIDE), "red"), Image.new("RGB", (SIDE, SIDE), "blue")]
METADATA = PngImagePlugin.PngInfo()
METADATA.add_text("Comment", "\x1b[31m" * 1000, zip=True)

FED: dict[str, Make] = {
    "PNG": saved(photo()),
    "JPEG": saved(photo(), "JPEG"),
    "JPEG, progressive": saved(photo(), "JPEG", progressive=True),
    "JPEG, CMYK": saved(photo("CMYK"), "JPEG"),
    "JPEG, grey": saved(photo("L"), "JPEG"),
    "JPEG under the name of a PNG": saved(photo(), "JPEG"),
    "WebP": saved(photo(), "WEBP"),
    "BMP": saved(photo(), "BMP"),
    "PPM": saved(photo(), "PPM"),
    "TIFF, YCbCr": saved(photo("YCbCr"), "TIFF"),
    "TIFF, LAB": saved(Image.new("LAB", (SIDE, SIDE)), "TIFF"),
    "TIFF of 16 bits": saved(sixteen_bits(), "TIFF"),
    "PNG of 16 bits": saved(sixteen_bits()),
    "PNG of 1 bit": saved(photo("1")),
    "PNG, palette": saved(photo("P")),
    "PNG, interlaced metadata": saved(photo(), pnginfo=METADATA),
    "opaque RGBA": saved(photo("RGBA")),
    "one pixel": saved(photo(size=(1, 1))),
    "a line": saved(photo(size=(1, 5000))),
    "a flat line": saved(photo(size=(5000, 1))),
    "GIF of one picture": saved(photo("P"), "GIF"),
}

TRANSPARENT: dict[str, Make] = {
    "RGBA": saved(transparent("RGBA")),
    "grey and alpha": saved(transparent("LA")),
    "WebP": saved(transparent("RGBA"), "WEBP", lossless=True),
    "TIFF": saved(transparent("RGBA"), "TIFF"),
    "palette": saved(palette(b"\xff\x00")),
    "one colour of RGB": saved(one_colour_transparent("RGB"), transparency=(0, 0, 0)),
    "one shade of grey": saved(one_colour_transparent("L"), transparency=0),
    "GIF": saved(palette(b"\xff\x00"), "GIF", transparency=1),
}

SEVERAL: dict[str, Make] = {
    "GIF": saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "TIFF": saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
    "PNG": saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "WebP": saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True),
}

REFUSED: dict[str, tuple[Make, str]] = {
    "nothing": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "is not a file"),
    "pipe": (os.mkfifo, "is not a file"),
    "socket": (at_socket, "is not a file"),
    "zeros without end": (lambda path: path.symlink_to("/dev/zero"), "is not a file"),
    "link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "empty file": (raw(b""), "is not an image"),
    "text": (raw(b"not a picture\n" * 100), "is not an image"),
    "SVG": (raw(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), "is not an image"),
    "HEIC": (raw(b"\0\0\0\x18ftypheic" + bytes(100)), "is not an image"),
    "PDF": (raw(b"%PDF-1.7\n" + bytes(100)), "is not an image"),
    "PostScript": (
        raw(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(it-ran) (w) file closefile\n"),
        "EPS is a program and no picture",
    ),
    "sparse file of a terabyte": (
        lambda path: (path.touch(), os.truncate(path, 2**40)),
        "is not an image",
    ),
    "ten billion pixels": (raw(png(100_000, 100_000)), "exceeds limit"),
    "wide as memory": (raw(png(2**31 - 1, 1)), "exceeds limit"),
    "PNG without pixels": (raw(png(64, 64)[:60]), "cannot be read as an image"),
    "PNG with too few pixels": (raw(png(64, 64)), "cannot be read as an image"),
    "text that inflates": (text_bomb, "cannot be read as an image"),
    "half a PNG": (cut(saved(photo(size=(64, 64)))), "cannot be read as an image"),
    "half a JPEG": (cut(saved(photo(size=(64, 64)), "JPEG")), "truncated"),
    "half a progressive JPEG": (
        cut(saved(photo(size=(64, 64)), "JPEG", progressive=True)),
        "truncated",
    ),
    "half a WebP": (cut(saved(photo(size=(64, 64)), "WEBP")), "cannot be read as an image"),
    "floating point": (saved(Image.new("F", (9, 9), float("nan")), "TIFF"), "pixels are of mode F"),
    "32 bits": (saved(Image.new("I", (9, 9), 70_000), "TIFF"), "pixels are of mode I"),
}


def fed(cli: Cli, path: Path) -> Finished:
    settings = ("resolution=32", "profiler=complexity", "plots=false", "output=json")
    done = cli("model=mobilenet_v1_x0_25", f"input={path}", *settings)
    assert "Traceback" not in done.err
    assert {item.name for item in Path.cwd().iterdir()} <= {path.name, "results"}
    return done


@pytest.mark.parametrize("kind", FED)
def test_what_can_be_decoded_is_fed(cli: Cli, kind: str) -> None:
    FED[kind](Path("picture.png"))
    done = fed(cli, Path("picture.png"))
    assert (done.code, done.err) == (0, "")
    assert done.document["quality"]["reasons"] == ["nothing but counts, which are exact"]


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_is_transparent_is_fed_as_white_and_the_report_says_so(cli: Cli, kind: str) -> None:
    path = Path("picture.png")
    TRANSPARENT[kind](path)
    white = numpy.asarray(on_white(), numpy.int16)
    assert abs(numpy.asarray(photograph(path).image, numpy.int16) - white).max() <= 1
    assert abs(numpy.asarray(published_image(path), numpy.int16) - white).max() > 100
    (reason,) = fed(cli, path).document["quality"]["reasons"]
    assert reason == "what is transparent in picture.png is fed as white"


@pytest.mark.parametrize("kind", SEVERAL)
def test_of_several_pictures_the_first_is_fed_and_the_report_says_so(cli: Cli, kind: str) -> None:
    SEVERAL[kind](Path("picture.png"))
    (reason,) = fed(cli, Path("picture.png")).document["quality"]["reasons"]
    assert reason == "of the frames of picture.png the first one is fed"


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_decoded_is_one_line_that_names_the_file(cli: Cli, kind: str) -> None:
    make, message = REFUSED[kind]
    make(Path("picture.png"))
    done = fed(cli, Path("picture.png"))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("benchbench: input=picture.png")
    assert message in line
    assert len(line) < 500
    assert line.isprintable()


@pytest.mark.parametrize(
    "name", ["from $5_to_$9.jpg", "a b.png", "it's.png", "a=b,c.png", "[1].png", "\x1b[31mred.png"]
)
def test_odd_names_of_pictures_are_read_and_shown_safely(cli: Cli, name: str) -> None:
    saved(photo())(Path(name))
    assert fed(cli, Path(name)).code == 0
    Path(name).write_text("no picture")
    done = fed(cli, Path(name))
    (line,) = done.err.splitlines()
    assert done.code == 2
    assert repr(name)[1:-1] in line or name in line
    assert line.isprintable()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_and_a_data_set_is_not(orientation: int) -> None:
    """torchvision's, timm's and TensorFlow's loaders leave the orientation alone."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = numpy.zeros((16, 24, 3), numpy.uint8)
    pixels[:8, :8] = (255, 0, 0)
    Image.fromarray(pixels).save("turned.png", exif=exif)
    assert numpy.array_equal(numpy.asarray(published_image(Path("turned.png"))), pixels)
    upright = numpy.asarray(photograph(Path("turned.png")).image)
    # EXIF 2.3: what row 0 and column 0 of the file are in the picture
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[orientation]
    flipped = orientation in (2, 4, 5, 7)
    expected = numpy.rot90(pixels, turns)
    assert numpy.array_equal(upright, expected[:, ::-1] if flipped else expected)
