"""Clip art and photographs of the Debian package tuxpaint-stamps-default, as a folder of ten classes of images.

    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb EXTRACTED
    python -m benchmarks.common.stamps EXTRACTED/usr/share/tuxpaint/stamps FOLDER

The classes are top-level folders of the package. Every second PNG file, by its path, is for the test. Transparent
places become white, and wide images are scaled to 160 pixels, so that every program that reads them sees the same.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

CLASSES = ("animals", "clothes", "food", "household", "plants", "seasonal", "space", "symbols", "town", "vehicles")
MOST = 40  # images of a class in each part
WIDTH = 160


def on_white(file: Path) -> Image.Image:
    """Read an image as RGB, transparent places white, at most `WIDTH` pixels wide."""
    image = Image.open(file).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if flat.width > WIDTH:
        flat = flat.resize((WIDTH, max(1, round(flat.height * WIDTH / flat.width))), Image.Resampling.BICUBIC)
    return flat


def write_stamps(stamps: Path, folder: Path) -> None:
    """Write train/<class>/… and test/<class>/….

    Args:
        stamps: The package's folder of stamps.
        folder: Where to write; made if it does not exist.
    """
    for kind in CLASSES:
        files = sorted((stamps / kind).rglob("*.png"))
        for part, chosen in (("train", files[0::2]), ("test", files[1::2])):
            target = folder / part / kind
            target.mkdir(parents=True)
            for file in chosen[:MOST]:
                on_white(file).save(target / "_".join(file.relative_to(stamps / kind).parts))


def main(args: Sequence[str] | None = None) -> None:
    """Write the folder."""
    options = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    options.add_argument("stamps", type=Path)
    options.add_argument("folder", type=Path)
    given = options.parse_args(args)
    write_stamps(given.stamps, given.folder)


if __name__ == "__main__":
    main()
