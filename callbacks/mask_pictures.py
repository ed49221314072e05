"""Masks as pictures: the value of a pixel is its class, its colour tells the classes apart."""

from pathlib import Path

from torch import Tensor

# Okabe and Ito's colours, told apart in print and by colour-blind readers; class 0 is black.
COLORS = [
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (153, 153, 153),
]


def save_masks(masks: Tensor, folder: Path) -> list[str]:
    """Save masks `(N, H, W)` of class numbers below 256 as PNG files; their paths from the folder above."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    palette = [channel for number in range(256) for channel in _color(number)]
    digits = len(str(max(len(masks) - 1, 0)))
    names = []
    for number, mask in enumerate(masks):
        picture = Image.fromarray(mask.byte().numpy()).convert("P")
        picture.putpalette(palette)
        path = folder / f"{number:0{digits}d}.png"
        picture.save(path)
        names.append(f"{folder.name}/{path.name}")
    return names


def _color(number: int) -> tuple[int, int, int]:
    """The listed colours first, then darker rounds of them."""
    shade = 0.75 ** ((number - 1) // (len(COLORS) - 1)) if number else 0.0
    red, green, blue = COLORS[(number - 1) % (len(COLORS) - 1) + 1 if number else 0]
    return int(red * shade), int(green * shade), int(blue * shade)
