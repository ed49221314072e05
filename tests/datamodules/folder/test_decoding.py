"""Files of every colour mode, depth, orientation and size, against values by hand or from torchvision."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from datamodules.folder.decoding import ImageFormat, decode
from tests.datamodules.support import save_image

RGB = ImageFormat(8, 8, "RGB", "crop")
GREY = ImageFormat(8, 8, "L", "crop")
RED = (200, 10, 30)


def plain(colour: object, mode: str, path: Path) -> Path:
    Image.new(mode, (8, 8), colour).save(path)  # type: ignore[arg-type]
    return path


def test_rgb_is_exact(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png")
    expected = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", RGB), expected)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "gif", "webp", "jpg"])
def test_endings(ending: str, tmp_path: Path) -> None:
    pixels = decode(plain(RED, "RGB", tmp_path / f"a.{ending}"), RGB)
    assert np.abs(pixels.astype(int) - RED).max() <= (3 if ending in ("jpg", "webp") else 0)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
    ],
)
def test_modes(mode: str, colour: int | tuple[int, ...], expected: tuple[int, int, int], tmp_path: Path) -> None:
    pixels = decode(plain(colour, mode, tmp_path / "a.png"), RGB)
    assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [list(expected)]


def test_palette(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), RED).quantize(4).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
    assert (decode(tmp_path / "a.png", RGB) == RED).all()


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED])
    image.save(tmp_path / "a.png", transparency=1)
    assert (decode(tmp_path / "a.png", RGB) == 255).all()


def test_cmyk(tmp_path: Path) -> None:
    plain((0, 255, 255, 0), "CMYK", tmp_path / "a.jpg")
    assert np.abs(decode(tmp_path / "a.jpg", RGB).astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(ending: str, tmp_path: Path) -> None:
    values = np.zeros((8, 8), dtype=np.uint16)
    values[0, :6] = [0, 128, 129, 256, 32768, 65535]
    Image.fromarray(values).save(tmp_path / f"a.{ending}")
    for form in (RGB, GREY):
        assert decode(tmp_path / f"a.{ending}", form)[0, :6, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_thirty_two_bits_within_sixteen(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 65535, dtype=np.int32)).save(tmp_path / "a.tif")
    assert (decode(tmp_path / "a.tif", GREY) == 255).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((8, 8), 70_000, dtype=np.int32), "grey values are outside 0 to 65535"),
        (np.full((8, 8), -1, dtype=np.int32), "grey values are outside 0 to 65535"),
        (np.full((8, 8), 0.5, dtype=np.float32), "floating-point numbers of unknown range"),
    ],
)
def test_values_without_a_known_range(values: np.ndarray, message: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(OSError, match=message):
        decode(tmp_path / "a.tif", GREY)


def test_grey_form_is_the_luma(tmp_path: Path) -> None:
    pixels = decode(plain(RED, "RGB", tmp_path / "a.png"), GREY)
    assert pixels.shape == (8, 8, 1)
    assert abs(int(pixels[0, 0, 0]) - (0.299 * 200 + 0.587 * 10 + 0.114 * 30)) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_exif_orientation(orientation: int, ending: str, tmp_path: Path) -> None:
    upright = np.zeros((16, 8, 3), dtype=np.uint8)
    upright[:8, :4] = 255  # bright in the upper left
    # how the image lies in the file, so that the viewer's turn makes it upright (EXIF 2.3, tag 0x0112)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{ending}", exif=exif)
    pixels = decode(tmp_path / f"a.{ending}", ImageFormat(16, 8, "RGB", "crop"))
    assert np.abs(pixels.astype(int) - upright).max() <= 12


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "a.gif", RGB) == RED).all()


@pytest.mark.parametrize("size", [(20, 14), (14, 20), (13, 40), (9, 9), (5, 3), (8, 9), (31, 8)])
@pytest.mark.parametrize("form", [RGB, ImageFormat(6, 10, "RGB", "crop"), ImageFormat(10, 6, "RGB", "crop")])
def test_crop_has_the_shape_and_the_middle(size: tuple[int, int], form: ImageFormat, tmp_path: Path) -> None:
    x = np.linspace(0, 255, size[0]).round().astype(np.uint8)
    Image.fromarray(np.broadcast_to(x, (size[1], size[0])).copy()).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png", form)
    assert pixels.shape == (form.height, form.width, 3)
    assert abs(float(pixels.mean()) - 127.5) < 22  # the middle of a ramp, to within half a pixel


@pytest.mark.parametrize("size", [(20, 14), (14, 20), (64, 64), (5, 3), (33, 32)])
def test_square_crop_equals_torchvision(size: tuple[int, int], tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", size=size)
    with Image.open(tmp_path / "a.png") as image:
        theirs = v2.Compose([v2.Resize(8), v2.CenterCrop(8)])(image)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", RGB), np.asarray(theirs))


def test_squash_equals_torchvision(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", size=(20, 14))
    with Image.open(tmp_path / "a.png") as image:
        theirs = v2.Resize((6, 10))(image)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", ImageFormat(6, 10, "RGB", "squash")), np.asarray(theirs))


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpeg_is_nearly_what_full_decoding_gives(orientation: int, tmp_path: Path) -> None:
    y, x = np.mgrid[0:480, 0:640]
    waves = (127 + 60 * np.sin(x / 37) + 60 * np.cos(y / 51)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.stack([waves, waves[::-1], waves[:, ::-1]], 2)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = decode(tmp_path / "a.jpg", ImageFormat(32, 32, "RGB", "crop"))
    with Image.open(tmp_path / "a.jpg") as image:
        whole = image.convert("RGB").rotate(-90 if orientation == 6 else 0, expand=True)
    theirs = v2.Compose([v2.Resize(32), v2.CenterCrop(32)])(whole)
    assert np.abs(pixels.astype(int) - np.asarray(theirs).astype(int)).mean() < 2


def test_cut_short_of_the_right_size(tmp_path: Path) -> None:
    save_image(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) - 40])
    with pytest.raises(OSError, match="truncated"):
        decode(tmp_path / "half.jpg", RGB)


def test_corrupt_files(tmp_path: Path) -> None:
    (tmp_path / "zero.jpg").touch()
    (tmp_path / "text.png").write_text("no image")
    save_image(tmp_path / "whole.jpg", size=(64, 64))
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    for name, message in (("zero.jpg", "cannot identify"), ("text.png", "cannot identify"), ("half.jpg", "truncated")):
        with pytest.raises(OSError, match=message):
            decode(tmp_path / name, RGB)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, "RGB", "crop"), "image_size must be ≥ 1, got 0 × 8"),
        ((8, 8, "CMYK", "crop"), "mode must be one of RGB, L; got 'CMYK'"),
        ((8, 8, "RGB", "stretch"), "resize must be one of crop, squash, letterbox; got 'stretch'"),
    ],
)
def test_bad_arguments(arguments: tuple[int, int, str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFormat(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("values", "expected"), [([0, 2048, 4095], [0, 128, 255]), ([0, 4096, 65535], [0, 16, 255])])
def test_twelve_bits_keep_their_levels(values: list[int], expected: list[int], tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), dtype=np.uint16)
    pixels[0, :3] = values
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", GREY)[0, :3, 0].tolist() == expected


def test_given_bits_come_first(tmp_path: Path) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    levels = {
        bits: len(np.unique(decode(tmp_path / "a.tif", ImageFormat(64, 64, "L", "crop", grey_bits=bits))))
        for bits in (None, 10, 12, 16)
    }
    assert levels == {None: 256, 10: 256, 12: 256, 16: 17}


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (2000, 5)])
@pytest.mark.parametrize("resize", ["crop", "squash", "letterbox"])
def test_thin_images_take_little_memory(size: tuple[int, int], resize: str, tmp_path: Path) -> None:
    line = np.zeros((size[1], size[0]), dtype=np.uint8)
    line[size[1] // 2 - size[1] // 10 :, size[0] // 2 - size[0] // 10 :] = 255
    Image.fromarray(line).save(tmp_path / "a.png")
    form = ImageFormat(224, 224, "L", resize)  # type: ignore[arg-type]
    tracemalloc.start()
    pixels = decode(tmp_path / "a.png", form)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert pixels.shape == (224, 224, 1)
    assert pixels[108:116, 108:116].max() > 140


def test_pixels_of_thin_images_stay_small_in_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's memory is not traced: no image on the way is larger than the file's and the format's."""
    Image.new("L", (1, 20_000)).save(tmp_path / "a.png")
    sizes, resize = [], Image.Image.resize

    def noted(image: Image.Image, size: tuple[int, int], *args: object, **kwargs: object) -> Image.Image:
        sizes.append(size)
        return resize(image, size, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", noted)
    decode(tmp_path / "a.png", ImageFormat(224, 224, "RGB", "crop"))
    assert sizes == [(224, 224)]


def test_letterbox_keeps_all_of_an_image(tmp_path: Path) -> None:
    Image.new("RGB", (32, 16), RED).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png", ImageFormat(8, 8, "RGB", "letterbox"))
    assert (pixels[2:6] == RED).all()
    assert (pixels[:2] == 128).all()
    assert (pixels[6:] == 128).all()
    tall = decode(plain(RED, "RGB", tmp_path / "b.png"), ImageFormat(4, 12, "RGB", "letterbox"))
    assert (tall[:, 4:8] == RED).all()
    assert (tall[:, [0, 3, 8, 11]] == 128).all()
