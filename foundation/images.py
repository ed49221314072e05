"""Images and segmentation masks for people: contact sheets, grids, PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 16  # images on a contact sheet


def is_image_batch(batch: Tensor) -> bool:
    """Return whether these are images `(B, C, H, W)` with C 1 or 3, of more than one pixel."""
    return batch.ndim == 4 and batch.shape[1] in (1, 3) and min(batch.shape[2:]) > 1


def contact_sheet(batch: Tensor) -> Tensor:
    """Arrange the first images in a grid, uint8 `(3, H, W)`; small ones are enlarged.

    Args:
        batch: `(B, C, H, W)`, C 1 or 3, of any range.

    Example:
        >>> import torch
        >>> contact_sheet(torch.linspace(0, 1, 20 * 64).view(20, 1, 8, 8)).shape
        torch.Size([3, 266, 266])
    """
    from torchvision.utils import make_grid

    images = batch[:SHOWN].detach().float().cpu()
    low, high = images.amin(), images.amax()
    images = (images - low) / (high - low).clamp(min=1e-12)
    times = max(1, 64 // images.shape[-1])
    images = images.repeat_interleave(times, -1).repeat_interleave(times, -2)
    return (make_grid(images, nrow=4, padding=2, pad_value=1.0) * 255).byte()


def as_bytes(images: Tensor) -> Tensor:
    """Convert images in [−1, 1] to uint8.

    Example:
        >>> import torch
        >>> as_bytes(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return (images.float() * 127.5 + 127.5).round().clamp(0, 255).byte()


SHOWN_PIXELS = 64  # width to which a small image is enlarged


def grid(images: Tensor, columns: int) -> Tensor:
    """Arrange images in [−1, 1] in a grid with white lines, uint8 `(3, H, W)`; small ones are enlarged.

    Args:
        images: `(N, C, H, W)`, C 1 or 3.
        columns: ≥ 1.

    Example:
        >>> import torch
        >>> grid(torch.zeros(4, 1, 32, 32), columns=2).shape
        torch.Size([3, 134, 134])
    """
    from torchvision.utils import make_grid  # torchvision takes long to import

    times = max(SHOWN_PIXELS // images.shape[-1], 1)
    large = as_bytes(images.cpu()).repeat_interleave(times, -1).repeat_interleave(times, -2)
    made: Tensor = make_grid(large, nrow=columns, padding=2, pad_value=255)
    return made


def save_image(image: Tensor, path: Path) -> None:
    """Save uint8 `(C, H, W)`, C 1 or 3, as a PNG file."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    channels_last = image.permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(channels_last[..., 0] if len(image) == 1 else channels_last).save(path)


# Okabe and Ito's colours, which colour-blind readers can tell apart; class 0 is black.
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
    """Save masks `(N, H, W)` of class numbers below 256 as PNG files; return their paths relative to the folder above.

    The value of a pixel is its class; a palette gives each class a colour.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    palette = [channel for number in range(256) for channel in _color(number)]
    digits = len(str(max(len(masks) - 1, 0)))
    names = []
    for number, mask in enumerate(masks):
        image = Image.fromarray(mask.byte().numpy()).convert("P")
        image.putpalette(palette)
        path = folder / f"{number:0{digits}d}.png"
        image.save(path)
        names.append(f"{folder.name}/{path.name}")
    return names


def _color(number: int) -> tuple[int, int, int]:
    """Return a listed colour, or a darker one of them for class 9 and above."""
    shade = 0.75 ** ((number - 1) // (len(COLORS) - 1)) if number else 0.0
    red, green, blue = COLORS[(number - 1) % (len(COLORS) - 1) + 1 if number else 0]
    return int(red * shade), int(green * shade), int(blue * shade)
