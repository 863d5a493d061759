"""How far the estimates move when only the display or the surroundings of a hip change; fresh phantom films, synthetic.

Every film is read as it is and in ten changed forms whose bone is the same: another window, a lookup table, a window
burned into the pixels, the edges of the beam beside the hip, a label, a text, padding, a shutter. For each kind: how
often the film still gets a number, how often with a flag that the unchanged film lacks, and how far the unflagged
numbers move.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from bmd_edge import Screener, open_bundle
from bmd_edge.report.film_report import FilmReport, flags_of
from bmd_edge.system.files import replace_file
from export.proofs.phantom_rois import run
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, TRAINING_MAKERS
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.stored_pixels import Stored
from trainer.phantom.film.view import PhantomHip
from trainer.phantom.film.write_dicom import dataset_of

Pixels = NDArray[np.uint16]

BITS = 12
TOP = 2**BITS - 1
_FIRST_SEED = 7_000_000_000  # apart from cohorts, scores, shifted films and the proof of the class head
_PIXEL_MM = 0.3


@dataclass(frozen=True, slots=True)
class Change:
    """What one changed form did: `bmd` (one per site) is the change in g/cm2, None where no number stands; `flags` are
    those that the unchanged film lacks.
    """

    kind: str
    read: bool
    bmd: tuple[float, ...] | None
    flags: tuple[str, ...]


# -- the changes: pixels (rows, cols) of BITS bits, bone bright, and the data set that shows them ----------------------


def narrow_window(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:
    """A window that suits the soft tissue: it clips the brightest tenth to third of the region, the pixels do not."""
    inside = pixels[_square(pixels, hip)]
    low, high = np.percentile(inside, [2.0, 100 - rng.uniform(10, 33)])
    data.WindowCenter, data.WindowWidth = round(float(low + high) / 2), max(round(float(high - low)), 2)
    return pixels


def wide_window(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """A window wider than what is stored: a dim film, nothing is lost."""
    width = rng.uniform(1.2, 2.0) * TOP
    data.WindowCenter, data.WindowWidth = round(TOP / 2 + rng.uniform(-0.1, 0.1) * width), round(width)
    return pixels


def lookup_table(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """A VOI LUT with a toe and a shoulder, harder or softer than the straight line."""
    del data.WindowCenter, data.WindowWidth
    gray = np.arange(TOP + 1) / TOP
    gray = gray + rng.uniform(-0.6, 0.6) * np.sin(2 * np.pi * gray) / (2 * np.pi)
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [TOP + 1, 0, 16])
    item.add_new("LUTData", "OW", np.round(gray * 65535).astype("<u2").tobytes())
    data.VOILUTSequence = Items([item])
    return pixels


def burned_window(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """A window burned into the pixels by the station: the brightest 2 to 12 % of the region are gone."""
    low, high = np.percentile(pixels[_square(pixels, hip)], [1.0, 100 - rng.uniform(2, 12)])
    clipped: Pixels = np.clip((pixels - low) / max(high - low, 1.0) * TOP, 0, TOP).astype(np.uint16)
    return clipped


def white_edge(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """The edge of the beam beside the trochanter; what lies beyond is white."""
    return _beyond(pixels, hip, rng.uniform(24, 40), TOP)


def black_edge(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """The edge of the beam beside the trochanter; what lies beyond is black."""
    return _beyond(pixels, hip, rng.uniform(24, 40), 0)


def white_label(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """A white box of 8 to 22 mm in a corner of the region, away from the bone that is measured."""
    return _box(pixels, hip, rng, TOP, striped=False)


def dark_text(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """Lines of black in a corner of the region, as burned-in text is."""
    return _box(pixels, hip, rng, 0, striped=True)


def padding(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:  # noqa: ARG001
    """The film on a larger sheet, white or black around it: 10 to 30 % of its size on each side."""
    frame = [round(side * rng.uniform(0.1, 0.3)) for side in pixels.shape]
    value = int(rng.choice([0, TOP]))
    return np.pad(pixels, [(frame[0], frame[0]), (frame[1], frame[1])], constant_values=value)


def shutter(pixels: Pixels, hip: PhantomHip, data: Dataset, rng: Generator) -> Pixels:
    """A rectangular display shutter beside the hip, and white pixels under it."""
    spacing = float(data.get("ImagerPixelSpacing", data.get("PixelSpacing"))[0])
    (left, right), (top, bottom) = _extent(hip)
    reach = rng.uniform(28, 45) / spacing
    rows, cols = pixels.shape
    edges = [max(left - reach, 1), min(right + reach, cols), max(top - reach, 1), min(bottom + reach, rows)]
    west, east, north, south = (round(edge) for edge in edges)
    data.ShutterShape = "RECTANGULAR"
    data.ShutterLeftVerticalEdge, data.ShutterRightVerticalEdge = west, east
    data.ShutterUpperHorizontalEdge, data.ShutterLowerHorizontalEdge = north, south
    data.ShutterPresentationValue = 0
    masked = np.full_like(pixels, TOP)
    masked[north - 1 : south, west - 1 : east] = pixels[north - 1 : south, west - 1 : east]
    return masked


CHANGES: dict[str, Callable[[Pixels, PhantomHip, Dataset, Generator], Pixels]] = {
    change.__name__: change
    for change in (
        narrow_window, wide_window, lookup_table, burned_window, white_edge, black_edge, white_label, dark_text,
        padding, shutter,
    )
}  # fmt: skip
"""The ten kinds, by name."""


def _extent(hip: PhantomHip) -> tuple[tuple[float, float], tuple[float, float]]:
    """The box of a hip's landmarks, pixels: (left, right), (top, bottom)."""
    points = np.array(list(hip.landmarks_px.values()))
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return (float(left), float(right)), (float(top), float(bottom))


def _square(pixels: Pixels, hip: PhantomHip) -> tuple[slice, slice]:
    """Rows and columns of the hip's landmarks and as much beside them."""
    (left, right), (top, bottom) = _extent(hip)
    reach = 0.4 * (bottom - top)
    rows, cols = pixels.shape
    return (
        slice(max(int(top - reach), 0), min(int(bottom), rows)),
        slice(max(int(left - reach), 0), min(int(right + reach), cols)),
    )


def _millimeter(hip: PhantomHip) -> float:
    """Pixels of a millimeter at the hip, from the shaft points, which lie 30 mm apart where the film shows both."""
    a, b = (np.array(hip.landmarks_px[name]) for name in ("shaft_proximal", "shaft_distal"))
    return float(np.linalg.norm(a - b)) / 30.0


def _beyond(pixels: Pixels, hip: PhantomHip, reach_mm: float, value: int) -> Pixels:
    """All columns farther than `reach_mm` lateral of the trochanter's tip set to `value`, or nearer where it ends."""
    x = hip.landmarks_px["greater_trochanter"][0]
    room = x if hip.side == "R" else pixels.shape[1] - x
    reach = min(reach_mm * _millimeter(hip), 0.8 * room)
    changed = pixels.copy()
    if hip.side == "R":
        changed[:, : max(round(x - reach), 1)] = value
    else:
        changed[:, min(round(x + reach), pixels.shape[1] - 1) :] = value
    return changed


def _box(pixels: Pixels, hip: PhantomHip, rng: Generator, value: int, striped: bool) -> Pixels:
    """A box, or its every other pair of rows, lateral of the shaft or of the head."""
    unit = _millimeter(hip)
    size = [max(round(rng.uniform(8, 22) * unit), 2), max(round(rng.uniform(12, 22) * unit), 2)]
    out = -1 if hip.side == "R" else 1
    x = hip.landmarks_px["greater_trochanter"][0] + out * 14 * unit - (size[1] if out < 0 else 0)
    y = hip.landmarks_px[str(rng.choice(["head_center", "lesser_trochanter"]))][1] - size[0] / 2
    top, left = max(round(y), 0), min(max(round(x), 0), pixels.shape[1] - 1)
    changed = pixels.copy()
    part = changed[top : top + size[0], left : left + size[1]]
    part[(np.arange(len(part)) // 3 % 2 == 0) | (not striped)] = value
    return changed


# -- films, and what a bundle says of them -----------------------------------------------------------------------------


def spec(number: int, seed: int) -> FilmSpec:
    """The film `number`: a pelvis, with room beside its hips, in turn of a maker to learn from and of one held out."""
    makers = HELD_OUT_MAKERS if number % 2 else TRAINING_MAKERS
    first = _FIRST_SEED + 1_000_000 * seed + number
    return FilmSpec(first, "pelvis", "RL"[number // 2 % 2], style=makers[number // 2 % len(makers)], pixel_mm=_PIXEL_MM)


def hip_of(made: PhantomFilm) -> PhantomHip:
    """The hip of a film that is watched."""
    return next(hip for hip in made.hips if hip.side == made.spec.side)


def dicom(made: PhantomFilm, kind: str, rng: Generator) -> bytes:
    """A film in one of its forms ("" unchanged) as a DICOM file of 12 bits, MONOCHROME2."""
    upright: Pixels = np.round(made.bone_bright() * TOP).astype(np.uint16)
    plain = replace(made, stored=Stored(upright, BITS, "MONOCHROME2", ((TOP + 1) / 2, TOP + 1.0)))
    data = dataset_of(plain)
    pixels = CHANGES[kind](upright, hip_of(made), data, rng) if kind else upright
    data.Rows, data.Columns = pixels.shape
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.add_new("PixelData", "OW", pixels.astype("<u2").tobytes())
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def changes(number: int, seed: int) -> list[Change]:
    """What the ten changes do to one film, in a worker; empty where the unchanged film gets no number."""
    made = film(spec(number, seed))
    screener, side = _opened[0], hip_of(made).side
    before = _hip(screener.read(dicom(made, "", np.random.default_rng(0))), side)
    if before is None:
        return []
    found = []
    for place, kind in enumerate(CHANGES):
        report = screener.read(dicom(made, kind, np.random.default_rng([seed, number, place])))
        after = _hip(report, side)
        moved = None if after is None else tuple(float(v) for v in after[0] - before[0])
        flags = () if after is None else tuple(sorted(after[1] - before[1]))
        found.append(Change(kind, after is not None, moved, flags))
    return found


def _hip(report: FilmReport, side: str) -> tuple[NDArray[np.float64], set[str]] | None:
    """BMD (sites,) of the hip `side` and all flags that stand beside it; None without a number."""
    for hip in report.hips:
        if hip.side == side and hip.estimates:
            return np.array([one.bmd_gcm2 for one in hip.estimates]), set(flags_of(hip))
    return None


_opened: list[Screener] = []


def _open(folder: Path | None, precision: str) -> None:
    _opened.append(open_bundle(folder).screener(device="cpu", precision=precision, threads=1))


def figures(found: Sequence[Change]) -> dict[str, Any]:
    """Shares, and |change| of both sites of the unflagged numbers (g/cm2): median, 95th percentile, largest."""
    read = [one for one in found if one.read]
    still = [abs(v) for one in read if not one.flags and one.bmd for v in one.bmd]
    facts: dict[str, Any] = {"n": len(found), "no_number": len(found) - len(read)}
    facts["flagged"] = sum(bool(one.flags) for one in read)
    for name, q in (("median", 50), ("p95", 95), ("largest", 100)):
        facts[f"unflagged_{name}_gcm2"] = round(float(np.percentile(still, q)), 4) if still else None
    return facts


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.surroundings", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--n", type=int, default=20, help="films, each in ten changed forms")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    with ProcessPoolExecutor(asked.workers, get_context("spawn"), _open, (asked.bundle, asked.precision)) as pool:
        films = list(pool.map(changes, range(asked.n), [asked.seed] * asked.n))
    found = [one for some in films for one in some]
    bundle = open_bundle(asked.bundle)
    facts = {
        "command": f"python -m export.proofs.surroundings --n {asked.n} --seed {asked.seed}",
        "synthetic": True,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "precision": asked.precision,
        "films": asked.n,
        "films_read_unchanged": sum(bool(some) for some in films),
        "all": figures(found),
        "by_kind": {kind: figures([one for one in found if one.kind == kind]) for kind in CHANGES},
        "changes": [asdict(one) for one in found],
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    for kind, one in {**facts["by_kind"], "all": facts["all"]}.items():
        say(f"{kind}: {one}")
    say(f"{len(found)} changed films in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    run(main)
