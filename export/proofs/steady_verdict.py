"""How far a verdict is a property of the film: films read again after changes that leave what they show as it is.

Harmless changes are a pixel size 1 % off, a shift by half a pixel, another lossless transfer syntax, the first row and
column cut off, and one more bit of depth. A pixel size 5 % off is no more than the doubt in any magnification; over it
an estimate may move as far as its interval says, and a hip that gets a number at one should not get a disease at
another. Phantom films (known and held-out makers, every fourth hip with an implant or a fracture), or DICOM films of
any folder.

How the shaft's landmarks tell a fracture below the hip: the distance of their place from that of intact hips, before
and after the film is cut there and the part below moved by 8 to 18 mm and turned by 10 to 25 degrees.

By how much single looks at a hip differ from what they say together is measured beside it, on intact phantom hips:
`bmd_edge.hips.plausibility` allows twice that.
"""

import argparse
import copy
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless
from scipy.ndimage import affine_transform

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.engine.base import Engine
from bmd_edge.engine.open import open_engine
from bmd_edge.film.film import Film
from bmd_edge.film.read import read_film
from bmd_edge.hips.class_head import SURE_CLOSE_UP
from bmd_edge.hips.finder import close_up, survey
from bmd_edge.hips.landmarks import log_odds, merged, to_mm
from bmd_edge.hips.plausibility import MAX_SHAFT_DISTANCE, embedding_distance, shaft_distance, shape_distance
from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.screen.screener import Screener
from bmd_edge.system.files import replace_file
from export.proofs.phantom_rois import run
from trainer.phantom.film.film import film
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, TRAINING_MAKERS
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.write_dicom import write_dicom

HARMLESS = ("pixel_size_0.99", "pixel_size_1.01", "half_a_pixel", "lossless_syntax", "first_row_cut", "one_more_bit")
DOUBT = ("pixel_size_0.95", "pixel_size_1.05")
Intact = dict[str, NDArray[np.float64]]
_SHAFT_SEEN_MM = 60.0  # of film below the lesser trochanter, so that a cut shaft is on it
_DISEASES = {*SURE_CLOSE_UP, "cut_off", "not_a_hip"}
_FIRST_SEED = 7_000_000_000  # apart from cohorts (62 bits, hashed), scores (3e9), shifted films (5e9), class head (6e9)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one hip: "read" or why not, and its estimates by site in g/cm2 with the half widths of their intervals."""

    code: str
    bmd_gcm2: tuple[float, ...] = ()
    half_gcm2: tuple[float, ...] = ()


def verdicts(report: FilmReport) -> dict[str, Verdict]:
    """The verdict of each side; a film without a hip has one, under the side ""."""
    if not report.hips:
        return {"": Verdict(report.reason or "read")}
    return {hip.side or "": _verdict(hip) for hip in report.hips}


def _verdict(hip: HipReport) -> Verdict:
    if hip.reason is not None:
        return Verdict(hip.reason)
    half = tuple((one.high_gcm2 - one.low_gcm2) / 2 for one in hip.estimates)
    return Verdict("read", tuple(one.bmd_gcm2 for one in hip.estimates), half)


# -- changes of a film --------------------------------------------------------------------------------------------


def changed(data: Dataset) -> Iterator[tuple[str, Dataset]]:
    """The changes of a film by name; those that its header does not allow are left out. `data` stays as it is."""
    pixels = np.asarray(read_film(data).stored)
    for factor in (0.95, 0.99, 1.01, 1.05):
        yield f"pixel_size_{factor}", _scaled(data, factor)
    wide = pixels.astype(np.int32)
    mixed = (wide[1:, 1:] + wide[1:, :-1] + wide[:-1, 1:] + wide[:-1, :-1] + 2) >> 2
    yield "half_a_pixel", _stored(data, mixed.astype(pixels.dtype))
    yield "lossless_syntax", _stored(data, pixels, data.file_meta.TransferSyntaxUID != JPEGLSLossless)
    yield "first_row_cut", _stored(data, np.ascontiguousarray(pixels[1:, 1:]))
    if data.BitsStored < 16 and "ModalityLUTSequence" not in data:
        yield "one_more_bit", _deeper(data, pixels)


def _scaled(data: Dataset, factor: float) -> Dataset:
    made = copy.deepcopy(data)
    for name in ("ImagerPixelSpacing", "PixelSpacing"):
        if name in made:
            setattr(made, name, [f"{factor * float(value):.8g}" for value in made[name].value])
    return made


def _stored(data: Dataset, pixels: NDArray[np.integer], jpeg_ls: bool = False) -> Dataset:
    """A film with other pixels, in JPEG-LS or not compressed."""
    made = copy.deepcopy(data)
    made.Rows, made.Columns = pixels.shape
    if jpeg_ls:
        frame = imagecodecs.jpegls_encode(pixels.view(f"u{pixels.itemsize}"))
        return _written(made, encapsulate([bytes(frame)]), JPEGLSLossless)
    return _written(made, pixels.tobytes() + b"\0" * (pixels.nbytes % 2), ExplicitVRLittleEndian)


def _written(made: Dataset, frame: bytes, syntax: UID) -> Dataset:
    del made.PixelData
    made.file_meta.TransferSyntaxUID = syntax
    made.add_new("PixelData", "OB" if syntax == JPEGLSLossless or made.BitsAllocated == 8 else "OW", frame)
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(io.BytesIO(file.getvalue()))


def _deeper(data: Dataset, pixels: NDArray[np.integer]) -> Dataset:
    """Stored values twice as large, and a slope half as steep."""
    made = copy.deepcopy(data)
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, data.BitsStored + 1, data.BitsStored
    made.RescaleIntercept = data.get("RescaleIntercept", 0)
    made.RescaleSlope = float(data.get("RescaleSlope", 1)) / 2
    made.RescaleType = data.get("RescaleType", "US")
    for name in ("PixelPaddingValue", "PixelPaddingRangeLimit", "SmallestImagePixelValue", "LargestImagePixelValue"):
        if name in made:
            made[name].value = 2 * made[name].value
    return _stored(made, 2 * pixels.astype("<i2" if made.PixelRepresentation else "<u2"))


# -- figures ------------------------------------------------------------------------------------------------------


def compared(before: Sequence[dict[str, Verdict]], after: Sequence[dict[str, Verdict]]) -> dict[str, Any]:
    """What one change did to the hips of films; a hip that only one of both names counts as changed.

    `moved_gcm2`: |change| of the estimates of hips that got a number both times, the larger of both sites.
    """
    pairs = [
        (one.get(side), other.get(side))
        for one, other in zip(before, after, strict=True)
        for side in sorted({*one, *other})
    ]
    codes = [tuple(hip.code if hip else "not_named" for hip in pair) for pair in pairs]
    both = [(one, other) for one, other in pairs if one and other and one.code == other.code == "read"]
    moved = [np.abs(np.subtract(one.bmd_gcm2, other.bmd_gcm2)) for one, other in both]
    beyond = [bool((step > one.half_gcm2).any()) for step, (one, _) in zip(moved, both, strict=True)]
    return {
        "hips": len(pairs),
        "another_verdict": sum(one != other for one, other in codes),
        "number_or_none": sum((one == "read") != (other == "read") for one, other in codes),
        "number_or_disease": sum("read" in pair and bool(_DISEASES & {*pair}) for pair in codes),
        "read_both_times": len(both),
        "moved_gcm2": _quantiles([float(step.max()) for step in moved]),
        "moved_out_of_the_interval": sum(beyond),
    }


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return dict(zip(("median", "p90", "most"), np.quantile(values, (0.5, 0.9, 1)).round(4).tolist(), strict=True))


def looks_apart(shown: Film, finder: Engine, bundle: VerifiedBundle, side: str) -> list[tuple[float, ...]]:
    """How far each look of a close-up lies from the merged one.

    Log-odds of intact and of the peaks, log of the factor between the distances of shape and of embedding.
    """
    numbers = bundle.manifest.plausibility
    first = survey(shown, finder, bundle.inputs)["RL".index(side)]
    looks = close_up(shown, finder, bundle.inputs, side, first.points_px)
    seen = np.array(
        [
            (
                *log_odds(np.array([look.kind[0], look.score])),
                math.log(shape_distance(numbers, to_mm(shown, look.points_px))),
                math.log(embedding_distance(numbers, look)),
            )
            for look in (merged(looks), *looks)
        ]
    )
    return [tuple(row) for row in (seen[1:] - seen[0]).tolist()]


def shaft_cut(shown: Film, points_px: NDArray[np.float64], rng: np.random.Generator) -> Film:
    """A film whose shaft is cut 10 to 25 mm below the lesser trochanter: its distal part is moved across and turned."""
    lesser, proximal, distal = points_px[3:]
    mm = shown.spacing_mm[0]
    row = lesser[1] + rng.uniform(10, 25) / mm
    column = np.interp(row, (proximal[1], distal[1]), (proximal[0], distal[0]))
    turn = np.deg2rad(rng.choice([-1, 1]) * rng.uniform(10, 25))
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    to = np.array([row, column + rng.choice([-1, 1]) * rng.uniform(8, 18) / mm])
    moved = affine_transform(
        shown.stored.astype(np.float32), back, offset=np.array([row, column]) - back @ to, order=1, mode="nearest"
    )
    stored = shown.stored.copy()
    leg = np.s_[int(row) :, max(int(column - 45 / mm), 0) : int(column + 45 / mm)]
    stored[leg] = moved[leg].round()
    return replace(shown, stored=stored)


def shaft_distances(
    shown: Film, finder: Engine, bundle: VerifiedBundle, side: str, points_px: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Distance of the shaft's place of an intact hip, and of the same hip with a cut shaft; None with little shaft."""
    if (shown.shape[0] - points_px[3, 1]) * shown.spacing_mm[0] < _SHAFT_SEEN_MM:
        return None
    found = []
    for one in (shown, shaft_cut(shown, points_px, np.random.default_rng(int(points_px.sum())))):
        first = survey(one, finder, bundle.inputs)["RL".index(side)]
        look = merged(close_up(one, finder, bundle.inputs, side, first.points_px))
        found.append(shaft_distance(bundle.manifest.plausibility, to_mm(one, look.points_px)))
    return found[0], found[1]


def told(distances: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Quantiles of both, and how many of each lie beyond the limit."""
    intact, cut = np.array(distances).T
    return {
        "hips": len(distances),
        "limit": MAX_SHAFT_DISTANCE,
        "intact_p50_p90_most": np.quantile(intact, (0.5, 0.9, 1)).round(2).tolist(),
        "cut_least_p10_p50": np.quantile(cut, (0, 0.1, 0.5)).round(2).tolist(),
        "intact_beyond": int((intact > MAX_SHAFT_DISTANCE).sum()),
        "cut_beyond": int((cut > MAX_SHAFT_DISTANCE).sum()),
    }


def slack(apart: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    """Twice the SD of single looks around the merged one: in log-odds, and as factors of distances."""
    sd = np.sqrt(np.mean(np.square(apart), axis=0))
    intact, peak = (2 * sd[:2]).round(2).tolist()
    shape, embedding = np.exp(2 * sd[2:]).round(2).tolist()
    return {"looks": len(apart), "intact": intact, "peak": peak, "shape": shape, "embedding": embedding}


# -- the command --------------------------------------------------------------------------------------------------


def specs(n: int, seed: int) -> list[FilmSpec]:
    """`n` films: three in four intact; one in four a pelvis; styles of known and of held-out makers by turns."""
    made = []
    for k in range(n):
        draw = np.random.default_rng([seed, k])
        case = ("implant", "fracture")[k // 4 % 2] if k % 4 == 3 else "intact"
        kind, pose = str(draw.choice(["hip", "hip", "hip", "pelvis"])), str(draw.choice(["bmd", "wide"]))
        style = str(draw.choice(HELD_OUT_MAKERS if k % 2 else TRAINING_MAKERS))
        number = _FIRST_SEED + 1_000_000 * seed + k
        made.append(FilmSpec(number, kind, str(draw.choice(["R", "L"])), case, pose, style, "film", 0.4))
    return made


def _phantoms(wanted: Sequence[FilmSpec]) -> Iterator[tuple[FileDataset, Intact]]:
    """Phantom films and the landmarks (6, 2) of their intact hips by side."""
    for spec in wanted:
        file, made = io.BytesIO(), film(spec)
        write_dicom(file, made)
        intact = {
            hip.side: np.array([hip.landmarks_px[name] for name in LANDMARKS])
            for hip in made.hips
            if hip.kind == "intact" and not hip.cut_off
        }
        yield pydicom.dcmread(io.BytesIO(file.getvalue())), intact


def prove(
    films: Iterator[tuple[FileDataset, Intact]], screener: Screener, finder: Engine
) -> tuple[dict[str, Any], int]:
    """Every figure, and how many films were read as they are."""
    before: dict[str, list[dict[str, Verdict]]] = {name: [] for name in (*HARMLESS, *DOUBT)}
    after: dict[str, list[dict[str, Verdict]]] = {name: [] for name in before}
    plain, apart, shafts = [], [], []
    for data, intact in films:
        report = screener.read(data)
        if report.spacing_mm is None:  # the file is refused as it is
            continue
        plain.append(verdicts(report))
        for name, other in changed(data):
            before[name].append(plain[-1])
            after[name].append(verdicts(screener.read(other)))
        shown = read_film(data)
        for side, points_px in intact.items():
            if plain[-1].get(side, Verdict("")).code == "read":
                apart += looks_apart(shown, finder, screener.bundle, side)
            shafts.append(shaft_distances(shown, finder, screener.bundle, side, points_px))
    figures: dict[str, Any] = {name: compared(before[name], after[name]) for name in before}
    codes = [hip.code for one in plain for hip in one.values()]
    figures["verdicts"] = {code: codes.count(code) for code in sorted(set(codes))}
    figures["slack"] = slack(apart) if apart else None
    seen = [one for one in shafts if one]
    figures["shaft"] = told(seen) if seen else None
    return figures, len(plain)


def main(arguments: Sequence[str], say: Callable[[str], object]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.steady_verdict", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="bundle folder; default the embedded one")
    parser.add_argument("--films", type=Path, help="folder of DICOM films; default phantom films")
    parser.add_argument("--n", type=int, default=200, help="phantom films")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    asked = parser.parse_args(arguments)
    started, bundle = time.monotonic(), read_bundle(asked.bundle)
    films: Iterator[tuple[FileDataset, Intact]]
    if asked.films:
        films = ((pydicom.dcmread(path), {}) for path in sorted(asked.films.iterdir()))
    else:
        films = _phantoms(specs(asked.n, asked.seed))
    with (
        Screener(bundle, device="cpu", threads=1) as screener,
        open_engine(bundle, "finder", device="cpu", precision="fp32", threads=1) as finder,
    ):
        figures, n = prove(films, screener, finder)
        precision = screener.precision
    source = "--films FOLDER" if asked.films else f"--n {asked.n} --seed {asked.seed}"
    facts = {
        "command": f"python -m export.proofs.steady_verdict {source}",
        "synthetic": asked.films is None,
        "bundle": bundle.manifest.version,
        "bundle_digest": bundle.digest,
        "precision": precision,
        "films": n,
        **figures,
    }
    with replace_file(asked.out) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    for name in (*HARMLESS, *DOUBT):
        one = figures[name]
        say(f"{name}: another verdict for {one['another_verdict']} of {one['hips']} hips; moved {one['moved_gcm2']}")
    say(f"{n} films in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    run(main)
