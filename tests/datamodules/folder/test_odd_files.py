"""Files as people have them: what each is decoded to. The table in docs/your_own_images.md has the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from datamodules.folder.decoding import ImageFormat, decode

RED = (200, 10, 30)
FORM = ImageFormat(8, 8, "RGB", "crop")


def saved(mode: str, colour: object, ending: str = "png", **options: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.new(mode, (16, 16), colour).save(folder / f"a.{ending}", **options)  # type: ignore[arg-type]
        return folder / f"a.{ending}"

    return make


def written(content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "a.jpg").write_bytes(content)
        return folder / "a.jpg"

    return make


def values(top: float, kind: type) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pixels: np.ndarray = np.full((16, 16), top, dtype=kind)
        pixels[0, 0] = 0
        Image.fromarray(pixels).save(folder / "a.tif")
        return folder / "a.tif"

    return make


def turned(folder: Path) -> Path:
    image = Image.new("RGB", (8, 16))
    image.paste(RED, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(folder / "a.png", exif=exif)
    return folder / "a.png"


def palette(folder: Path) -> Path:
    Image.new("RGB", (16, 16), RED).quantize(4).save(folder / "a.png")
    return folder / "a.png"


def animation(folder: Path) -> Path:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, (0, 0, 0))]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    return folder / "a.gif"


def cut_short(folder: Path) -> Path:
    Image.effect_noise((64, 64), 50).save(folder / "a.jpg")
    content = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(content[: len(content) // 2])
    return folder / "a.jpg"


def thin(folder: Path) -> Path:
    image = Image.new("RGB", (1, 20_000))
    image.paste(RED, (0, 9_000, 1, 11_000))
    image.save(folder / "a.png")
    return folder / "a.png"


class Case(NamedTuple):
    """A file, its row in the documentation, and the colour of its middle, or what is said of it."""

    what: str
    then: str
    make: Callable[[Path], Path]
    expected: tuple[int, int, int] | str


WHITE, GREY = (255, 255, 255), (128, 128, 128)
CASES = [
    Case("EXIF orientation (1 to 8)", "turned upright", turned, (0, 0, 0)),
    Case("CMYK", "converted to RGB", saved("CMYK", (0, 255, 255, 0), "jpg"), (255, 0, 0)),
    Case("palette", "its colours", palette, RED),
    Case("transparent parts", "white", saved("RGBA", (*RED, 0)), WHITE),
    Case("grey, with `mode: RGB`", "three equal channels", saved("L", 128), GREY),
    Case("black and white (1 bit)", "0 and 255", saved("1", 1), WHITE),
    Case("16-bit grey", "x / 257, rounded", values(32896, np.uint16), GREY),
    Case("12-bit grey in 16 bits", "x / 16.06, if no value of the file is above 4095; `--data.grey_bits 16` for x / 257",
         values(2055, np.uint16), GREY),
    Case("floating point (TIFF)", "corrupt: of unknown range", values(0.5, np.float32), "floating-point"),
    Case("animation", "its first frame", animation, RED),
    Case("AVIF, JPEG 2000, TGA, MPO, WebP, …", "as any other", saved("RGB", RED, "jp2"), RED),
    Case("HEIC", "needs `pip install pillow-heif`, which the line says", written(b"\0\0\0\x18ftypheic" + bytes(99)),
         "pip install pillow-heif"),
    Case("1 × 20,000 pixels", "the middle is cut out before it is enlarged", thin, RED),
    Case("an empty file", "corrupt, with that reason", written(b""), "the file is empty"),
    Case("a web page saved as `a.jpg`", "corrupt, with that reason", written(b"<html>"), "the file is a web page"),
    Case("a file that is cut short", "corrupt, with that reason", cut_short, "truncated"),
    Case("more than 179 million pixels", "corrupt, unless `--data.max_pixels` is larger; large JPEG files are decoded at a smaller size",
         saved("1", 0), "more than data.max_pixels"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_file(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.folder.opening.find_spec", lambda name: None)
    form = FORM if case.expected != "more than data.max_pixels" else ImageFormat(8, 8, "RGB", "crop", max_pixels=255)
    file = case.make(tmp_path)
    if isinstance(case.expected, str):
        with pytest.raises(OSError, match=case.expected):
            decode(file, form)
    else:
        middle = decode(file, form)[2:4].mean((0, 1))
        assert np.abs(middle - case.expected).max() <= 4


def test_the_documentation_has_the_rows() -> None:
    page = (Path(__file__).parents[3] / "docs" / "your_own_images.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"| {case.what} | {case.then} |" in page
