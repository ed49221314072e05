"""Changes of photographs, each with a strength of its own for every image of a batch; torchvision's arithmetic.

torchvision's own kernels take one strength for a whole batch. Where they need none, they are used.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Maps uint8 images ``(B, C, H, W)`` and a strength for each ``(B,)`` to uint8 images."""

_GREY = (0.2989, 0.587, 0.114)
_CACHED = 600_000
"""Values of the images that are changed together on a CPU: more do not fit into its caches."""
_ALONE = 30_000
"""Values of an image, 100 × 100 pixels, from which on it is changed in its place: a copy takes longer than a call."""


def _planes(images: Tensor) -> Tensor:
    """Return images as new float32 values, channel after channel, which is faster for sums over channels."""
    return images.to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def _bytes(values: Tensor) -> Tensor:
    """Return values, which are limited to [0, 255] in place, as bytes."""
    limited = values.clamp_(0, 255)
    # Without a conversion to 16 bits between them a CPU takes four times as long.
    return (limited.to(torch.int16) if limited.device.type == "cpu" else limited).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return the grey value of each pixel, float32 ``(B, 1, H, W)``, a whole number."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = _planes(images).unbind(1)
    total = red.mul_(_GREY[0]).add_(green.mul_(_GREY[1])).add_(blue.mul_(_GREY[2]))
    return total.unsqueeze(1).floor_()


def blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """Return ``factor · image + (1 − factor) · other``, as bytes."""
    factors = factors.view(-1, 1, 1, 1)
    return _bytes(images.float().mul_(factors).add_(other * (1 - factors)))


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply each image by its factor, ≥ 0."""
    return _bytes(images.float().mul_(factors.view(-1, 1, 1, 1)))


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its mean grey."""
    return blend(images, grey(images).mean((1, 2, 3), keepdim=True), factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with its grey version."""
    return images if images.shape[1] == 1 else blend(images, grey(images), factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with a smoothed version; the pixels at its edge stay."""
    if min(images.shape[-2:]) <= 2:
        return images
    channels = images.shape[1]
    kernel = torch.full((3, 3), 1 / 13, device=images.device)
    kernel[1, 1].fill_(5 / 13)  # an assignment would copy a number from the host, and wait
    values = images.float()
    smooth = values.clone()
    inner = torch.nn.functional.conv2d(values, kernel.expand(channels, 1, 3, 3), groups=channels)
    smooth[..., 1:-1, 1:-1] = inner.round_()
    return blend(images, smooth, factors)


def hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue of each image by its share of the circle, in [−0.5, 0.5]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = _planes(images).div_(255).unbind(1)
    high, low = torch.maximum(red, green).maximum(blue), torch.minimum(red, green).minimum(blue)
    is_red = red == high
    is_green = (green == high).logical_and_(~is_red)
    spread = high - low
    divisor = torch.where(spread == 0, 1, spread)
    red, green, blue = ((high - each).div_(divisor) for each in (red, green, blue))
    angle = torch.where(is_red, blue - green, torch.where(is_green, 2 + red - blue, 4 + green - red))
    angle = angle.div_(6).add_(1).add_(shifts.view(-1, 1, 1)).remainder_(1).mul_(6).unsqueeze(1)
    # each channel is the highest value within a third of the circle around it, and falls off linearly beside it
    centres = torch.arange(0.0, 6.0, 2.0, device=images.device).view(1, 3, 1, 1)
    distance = (angle - centres).abs_()
    share = (2 - torch.minimum(distance, 6 - distance)).clamp_(0, 1)
    return share.mul_(spread.unsqueeze(1)).add_(low.unsqueeze(1)).mul_(255.999).floor_().to(torch.uint8)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of each value, a whole number in [0, 8]."""
    # On a GPU it is computed for all images, also with the strengths of other changes, which are not numbers of bits.
    mask = torch.bitwise_left_shift(255, (8 - bits.floor().clamp(0, 8)).int()).to(torch.uint8)
    return images & mask.view(-1, 1, 1, 1)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the values from the threshold on, a share of white in [0, 1]."""
    lowest = (255 * thresholds).ceil().to(torch.uint8).view(-1, 1, 1, 1)  # compared as bytes, not as float32
    inverts = (images >= lowest).view(torch.uint8).neg()  # 255 or 0
    return images ^ inverts


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch the values of each channel to the full range."""
    # As torchvision's, whose masks wait for the GPU; rows of pixels are one dimension, which is faster on a CPU.
    batch, channels, height, width = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
    low, high = (each.view(batch, width, channels).float() for each in (rows.amin(1), rows.amax(1)))
    low, high = low.amin(1, keepdim=True), high.amax(1, keepdim=True)
    flat = low == high
    scale = torch.where(flat, 1.0, (high - low) * (1 / 255)).repeat(1, 1, width)
    low = torch.where(flat, 0.0, low).repeat(1, 1, width)
    stretched = _bytes(rows.float().sub_(low).div_(scale))
    return stretched.view(batch, height, width, channels).permute(0, 3, 1, 2)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Spread the values of each channel evenly."""
    return F.equalize(images)


def identity(images: Tensor, _: Tensor) -> Tensor:
    """Return the images as they are."""
    return images


def shear_x(images: Tensor, strengths: Tensor) -> Tensor:
    """Shift each row by its distance from the top times the strength."""
    return moved(images, _matrix(strengths, one=strengths, shift_x=strengths * images.shape[-2] / 2))


def shear_y(images: Tensor, strengths: Tensor) -> Tensor:
    """Shift each column by its distance from the left times the strength."""
    return moved(images, _matrix(strengths, two=strengths, shift_y=strengths * images.shape[-1] / 2))


def translate_x(images: Tensor, pixels: Tensor) -> Tensor:
    """Move each image right by a whole number of pixels, rounded towards 0."""
    return moved(images, _matrix(pixels, shift_x=-pixels.trunc()))


def translate_y(images: Tensor, pixels: Tensor) -> Tensor:
    """Move each image down by a whole number of pixels, rounded towards 0."""
    return moved(images, _matrix(pixels, shift_y=-pixels.trunc()))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image counter-clockwise around its middle."""
    angle = degrees * (math.pi / 180)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return moved(images, _matrix(cos, diagonal=cos, one=-sin, two=sin))


def _matrix(like: Tensor, diagonal: Tensor | None = None, **entries: Tensor) -> Tensor:
    """Return for each image the matrix ``(2, 3)`` from places in the result to places in the image, from the middle."""
    zero, one = torch.zeros_like(like), torch.ones_like(like) if diagonal is None else diagonal
    rows = [one, entries.get("one", zero), entries.get("shift_x", zero)]
    rows += [entries.get("two", zero), one, entries.get("shift_y", zero)]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def moved(images: Tensor, matrices: Tensor) -> Tensor:
    """Take for each pixel the nearest one at the place that the image's matrix gives; black where there is none.

    Shape:
        images ``(B, C, H, W)``, matrices ``(B, 2, 3)`` → ``(B, C, H, W)``.
    """
    batch, channels, height, width = images.shape
    if batch == 1 and images.device.type == "cpu":
        return _one_moved(images, matrices[0].tolist())
    ys = torch.arange(height, device=images.device, dtype=torch.float32) + 0.5 - height / 2
    xs = torch.arange(width, device=images.device, dtype=torch.float32) + 0.5 - width / 2
    a, b, c = (matrices[:, :, number].unsqueeze(-1).unsqueeze(-1) for number in range(3))  # each (B, 2, 1, 1)
    places = a * xs + b * ys.unsqueeze(1) + c  # (B, 2, H, W)
    x = (places[:, 0] + width / 2).sub_(0.5).round_()
    y = (places[:, 1] + height / 2).sub_(0.5).round_()
    inside = (x >= 0).logical_and_(x < width).logical_and_(y >= 0).logical_and_(y < height)
    outside = inside.logical_not_()
    first = torch.arange(batch, device=images.device).view(-1, 1, 1) * (height * width)
    source = y.int().mul_(width).add_(x.int()).masked_fill_(outside, 0).long().add_(first)
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, source.flatten())
    pixels.masked_fill_(outside.view(-1, 1), 0)
    return pixels.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _one_moved(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """Do the same for one image on a CPU: a shift copies rows, and no step is taken for a factor of 0."""
    channels, height, width = image.shape[1:]
    (a, b, c), (d, e, f) = matrix
    if (a, b, d, e) == (1, 0, 0, 1) and c == int(c) and f == int(f):
        right, down = (max(-n, min(int(-s), n)) for s, n in ((c, width), (f, height)))
        return torch.nn.functional.pad(image, (right, -right, down, -down))
    xs = torch.arange(width, dtype=torch.float32) + 0.5 - width / 2
    ys = torch.arange(height, dtype=torch.float32).unsqueeze(1) + 0.5 - height / 2
    x = a * xs + b * ys if b else a * xs
    y = d * xs + e * ys if d else e * ys
    # A frame of black pixels around the image holds all places outside.
    x = x.add_(c).add_(width / 2).sub_(0.5).round_().clamp_(-1, width).int()
    y = y.add_(f).add_(height / 2).sub_(0.5).round_().clamp_(-1, height).int()
    framed = image.new_zeros(height + 2, width + 2, channels)
    framed[1:-1, 1:-1] = image[0].permute(1, 2, 0)
    places = x.add(y.mul_(width + 2).add_(width + 3))
    pixels = framed.view(-1, channels).index_select(0, places.flatten())
    return pixels.view(1, height, width, channels).permute(0, 3, 1, 2)


def copied(images: Tensor) -> Tensor:
    """Return images that `apply_where` may change: a copy on the CPU; it changes no tensor of another device."""
    return images.clone(memory_format=torch.preserve_format) if images.device.type == "cpu" else images


def apply_where(chosen: Tensor, kernel: Kernel, images: Tensor, strengths: Tensor) -> Tensor:
    """Change the chosen images, ``(B,)`` bool: on a CPU in place, few at a time, so that the caches hold them.

    On a GPU all are computed, so that nothing waits for it.
    """
    if images.device.type != "cpu":
        return torch.where(chosen.view(-1, 1, 1, 1), kernel(images, strengths), images)
    size, chosen_places = max(images[0].numel(), 1), chosen.nonzero().flatten()
    if size >= _ALONE:
        for place in chosen_places.tolist():
            one = slice(place, place + 1)
            images[one] = kernel(images[one], strengths[one])
        return images
    for places in chosen_places.split(_CACHED // size):
        images[places] = kernel(images[places], strengths[places])
    return images
