"""Formats of files beyond the usual ones, what a file that is no image seems to be, and the limit of pixels."""

import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from datamodules.folder.decoding import ImageFormat, decode
from datamodules.folder.listing.junk import is_image

RGB = ImageFormat(8, 8, "RGB", "crop")
RED = (200, 10, 30)


@pytest.mark.parametrize("ending", ["avif", "jp2", "tga", "ico", "pcx", "sgi", "dib"])
def test_more_formats(ending: str, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), RED).save(tmp_path / f"a.{ending}")
    assert is_image(f"a.{ending.upper()}")
    assert np.abs(decode(tmp_path / f"a.{ending}", RGB).astype(int) - RED).max() <= 4
    with (tmp_path / f"a.{ending}").open("rb") as file:
        assert np.abs(decode(file, RGB).astype(int) - RED).max() <= 4


def test_mpo_gives_its_first_image(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, (0, 0, 0))]
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:])
    assert np.abs(decode(tmp_path / "a.mpo", RGB).astype(int) - RED).max() <= 4


def test_sixteen_bit_colour_gives_its_upper_bits(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">HHH", 0x1234, 0x80FF, 0xFF00) * 8
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert (decode(tmp_path / "a.png", RGB) == (0x12, 0x80, 0xFF)).all()


def test_heic_needs_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    monkeypatch.setattr("datamodules.folder.opening.find_spec", lambda name: None)
    with pytest.raises(OSError, match="HEIC images without a decoder: pip install pillow-heif"):
        decode(tmp_path / "a.heic", RGB)

    def register() -> None:
        Image.register_open("HEIFTEST", lambda *_: Image.new("RGB", (8, 8), RED), lambda start: b"ftypheic" in start)  # type: ignore[arg-type]

    monkeypatch.setattr("datamodules.folder.opening.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))  # type: ignore[arg-type]
    try:
        assert (decode(tmp_path / "a.heic", RGB) == RED).all()
    finally:
        Image.ID.remove("HEIFTEST")
        del Image.OPEN["HEIFTEST"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><html></html>", "the file is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS"),
        (bytes(range(200)), "the format is unknown, or the file is damaged"),
    ],
)
def test_what_a_file_seems_to_be(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(OSError, match=f"cannot identify an image: .*{reason}"):
        decode(tmp_path / "a.jpg", RGB)


def test_most_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(OSError, match=r"40 × 30 pixels are more than data\.max_pixels, 1,199"):
        decode(tmp_path / "a.png", ImageFormat(8, 8, "RGB", "crop", max_pixels=1199))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow alone would refuse it
    assert decode(tmp_path / "a.png", ImageFormat(8, 8, "RGB", "crop", max_pixels=1200)).shape == (8, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
