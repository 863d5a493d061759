"""Random changes of images, batched in torch; every draw comes from one numpy generator, so a batch can be replayed.

Images are (n, 1, h, w) float32, roughly 0..1, bone bright. They are changed *before* `normalize`, where a film's own
processing, borders and labels would act. Strength 1 is meant for training.
"""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def stretch(image: Tensor, low: float = 0.01, high: float = 0.99) -> Tensor:
    """Scale each image so that its quantiles become 0 and 1, like `normalize`, but without clipping; NaN passes."""
    sample = image[:, :, ::4, ::4].flatten(1)
    levels = torch.nanquantile(sample, torch.tensor([low, high]), dim=1)
    bottom, top = torch.nan_to_num(levels)[..., None, None, None]
    stretched: Tensor = (image - bottom) / (top - bottom).clamp(min=1e-4)
    return stretched


def window(
    image: Tensor,
    size: int,
    shift_px: NDArray[np.float64],
    scale: NDArray[np.float64],
    angle_deg: NDArray[np.float64],
) -> Tensor:
    """A window of `size` pixels from each square image: moved, scaled and turned about the image's center.

    Whole pixels without scale and turn are taken over exactly; else bilinear. Beyond the image its edge goes on.

    Args:
        image: (n, 1, h, h), NaN outside the film.
        size: pixels per side of the result.
        shift_px: (n, 2) shift (x, y) of the window's center.
        scale: (n,) image pixels per window pixel; above 1 shows more than the window should.
        angle_deg: (n,) clockwise turn of what is seen.

    Returns:
        (n, 1, size, size), NaN outside the film.
    """
    return _sampled(image, _grid(image.shape[-1], size, shift_px, scale, angle_deg), "border")


def _grid(
    size_in: int, size: int, shift_px: NDArray[np.float64], scale: NDArray[np.float64], angle_deg: NDArray[np.float64]
) -> Tensor:
    """Where each output pixel comes from, in grid_sample's units (affine_grid is three times slower)."""
    unit, radians = 2 / size_in, np.deg2rad(angle_deg)
    turn = torch.as_tensor(unit * scale[:, None] * np.stack([np.cos(radians), np.sin(radians)], 1), dtype=torch.float32)
    cos, sin = turn[:, 0, None, None], turn[:, 1, None, None]
    move = torch.as_tensor(unit * shift_px, dtype=torch.float32)[:, :, None, None]
    steps = torch.arange(size, dtype=torch.float32) + 0.5 - size / 2
    grid = torch.empty(len(turn), size, size, 2)
    torch.add(move[:, 0] + cos * steps, sin * steps[:, None], out=grid[..., 0])
    torch.sub(move[:, 1] + cos * steps[:, None], sin * steps, out=grid[..., 1])
    return grid


def _sampled(image: Tensor, grid: Tensor, edge: str) -> Tensor:
    inside = ~torch.isnan(image)
    if edge == "border" and bool(inside.all()):
        return functional.grid_sample(image, grid, padding_mode=edge, align_corners=False)
    both = torch.cat([torch.where(inside, image, 0.0), inside.float()], 1)
    taken = functional.grid_sample(both, grid, padding_mode=edge, align_corners=False)
    value, weight = taken[:, :1], taken[:, 1:]
    return torch.where(weight > 0.5, value / weight.clamp(min=0.5), torch.nan)


def block_means(image: Tensor, size: int) -> Tensor:
    """(n, 1, h, w) -> (n, 1, h / size, w / size): means of blocks of size x size pixels, faster than `avg_pool2d`."""
    parts = (image[..., i::size, j::size] for i in range(size) for j in range(size))
    return sum(parts, torch.tensor(0.0)) / size**2


def tone(image: Tensor, rng: Generator, gamma: float, contrast: float, s_curve: float) -> Tensor:
    """Random saturation, gamma (log range), brightness and a monotone S of either sign; the result is in 0..1."""
    low = _draw(image, rng, -contrast, contrast)
    high = 1 + _draw(image, rng, -contrast, contrast)
    x = ((image - low) / (high - low)).clamp(0, 1)
    x = x.clamp(min=1e-4) ** _draw(image, rng, -gamma, gamma).exp()
    # x + a sin(2 pi x) / (2 pi) rises everywhere for |a| < 1.
    return x + _draw(image, rng, -s_curve, s_curve) * torch.sin(2 * torch.pi * x) / (2 * torch.pi)


def local_contrast(image: Tensor, rng: Generator, low: float, high: float, cells: tuple[int, ...]) -> Tensor:
    """Add a random multiple of the detail finer than a random scale: negative flattens, positive is a maker's boost."""
    size = int(rng.choice(cells))
    smooth = functional.interpolate(
        functional.avg_pool2d(image, size, ceil_mode=True, count_include_pad=False),
        size=image.shape[2:],
        mode="bilinear",
        align_corners=False,
    )
    return image + _draw(image, rng, low, high) * (image - smooth)


def shade(image: Tensor, rng: Generator, amplitude: float, cells: int = 6) -> Tensor:
    """Add a smooth random field: soft tissue, gas, heel effect."""
    coarse = torch.from_numpy(rng.standard_normal((len(image), 1, cells, cells), dtype=np.float32))
    fine = functional.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=False)
    field = functional.interpolate(fine, size=image.shape[2:], mode="bilinear", align_corners=False)
    return image + _draw(image, rng, 0, amplitude) * field


def soften(image: Tensor, rng: Generator, most: float) -> Tensor:
    """Blend with a 3 x 3 (or twice 3 x 3) mean."""
    smooth = functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    if rng.random() < 0.3:
        smooth = functional.avg_pool2d(smooth, 3, 1, 1, count_include_pad=False)
    return torch.lerp(image, smooth, _draw(image, rng, 0, most))


def add_noise(image: Tensor, rng: Generator, most: float) -> Tensor:
    """Add white noise, in every third batch coarse-grained; half of the images get little."""
    shape = list(image.shape)
    coarse = rng.random() < 1 / 3
    if coarse:
        shape[2:] = [side // 2 for side in shape[2:]]
    grain = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    if coarse:
        grain = functional.interpolate(grain, size=image.shape[2:], mode="bilinear", align_corners=False)
    return image + _draw(image, rng, 0, 1).square() * most * grain


def occlude(image: Tensor, rng: Generator, chance: float) -> Tensor:
    """Cut-outs, lines, soft folds, disks and text blocks, each with this chance per image; changes `image` in place."""
    for one in image[:, 0]:
        for draw in (_cut_out, _line, _fold, _disk, _text):
            if rng.random() < chance:
                draw(one, rng)
    return image


def _draw(image: Tensor, rng: Generator, low: float, high: float) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, (len(image), 1, 1, 1)).astype(np.float32))


def _corner(one: Tensor, rng: Generator, height: int, width: int) -> tuple[int, int]:
    return int(rng.integers(0, max(1, one.shape[0] - height))), int(rng.integers(0, max(1, one.shape[1] - width)))


def _cut_out(one: Tensor, rng: Generator) -> None:
    height, width = (int(side) for side in rng.integers(8, one.shape[0] // 5, 2))
    top, left = _corner(one, rng, height, width)
    one[top : top + height, left : left + width] = float(rng.choice([0.0, 1.0, rng.random()]))


def _distance(one: Tensor, rng: Generator) -> Tensor:
    """Signed distance in pixels to a random straight line through the image."""
    angle = rng.uniform(0, np.pi)
    y0, x0 = rng.uniform(0.1, 0.9, 2) * one.shape[0]
    rows = (torch.arange(one.shape[0], dtype=torch.float32) - float(y0)) * float(np.cos(angle))
    cols = (torch.arange(one.shape[1], dtype=torch.float32) - float(x0)) * float(np.sin(angle))
    return rows[:, None] + cols[None]


def _line(one: Tensor, rng: Generator) -> None:
    near = _distance(one, rng).abs() < float(rng.uniform(0.5, 2.0))
    one[near] += float(rng.uniform(-0.6, 0.6))


def _fold(one: Tensor, rng: Generator) -> None:
    one += float(rng.uniform(-0.25, 0.25)) * torch.sigmoid(_distance(one, rng) / float(rng.uniform(0.5, 6.0)))


def _disk(one: Tensor, rng: Generator) -> None:
    radius = int(rng.integers(3, 14))
    top, left = _corner(one, rng, 2 * radius, 2 * radius)
    steps = torch.arange(-radius, radius, dtype=torch.float32) + 0.5
    patch = one[top : top + 2 * radius, left : left + 2 * radius]
    patch[(steps[:, None].square() + steps[None].square()) < radius**2] = float(rng.choice([1.0, 1.2, 0.0]))


def _text(one: Tensor, rng: Generator) -> None:
    """One to four rows of random 5 x 3 glyphs, bright or dark, anywhere; so a marker cannot tell the side."""
    rows, letters, zoom = int(rng.integers(1, 5)), int(rng.integers(1, 12)), int(rng.integers(1, 4))
    glyphs = np.zeros((rows * 7, letters * 4), bool)
    for row in range(rows):
        for letter in range(letters):
            glyphs[row * 7 : row * 7 + 5, letter * 4 : letter * 4 + 3] = rng.random((5, 3)) < 0.6
    block = torch.from_numpy(np.kron(glyphs, np.ones((zoom, zoom), bool))[: one.shape[0], : one.shape[1]])
    top, left = _corner(one, rng, *block.shape)
    one[top : top + block.shape[0], left : left + block.shape[1]][block] = float(rng.choice([1.1, 1.0, -0.1]))


def vary_roi(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Moderate changes for the BMD network, which reads gray levels; NaN marks what lies outside the film."""
    if strength == 0:
        return image
    outside = torch.isnan(image)
    x = torch.nan_to_num(stretch(image), nan=0.0)
    x = local_contrast(x, rng, -0.3 * strength, 0.6 * strength, (4, 8, 16))
    x = shade(x, rng, 0.06 * strength)
    x = tone(x, rng, 0.3 * strength, 0.08 * strength, 0.4 * strength)
    x = soften(x, rng, min(1.0, 0.25 * strength))
    x = add_noise(x, rng, 0.02 * strength)
    return torch.where(outside, torch.nan, occlude(x, rng, 0.06 * strength))
