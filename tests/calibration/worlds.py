"""Made-up answers for made-up hips of which everything is known: scoring by world without pixels.

Every hip is given its own fate, so that a test knows, without matching anything, which answer is whose.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.measure.estimate import estimates
from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.learned_from import Known
from calibration.world.world import NamedTable, read_rows, score_table
from tests.support.cohorts import made_bundle

MM_PER_PX = 0.2
RIGHT_PX = np.array([(700, 800), (600, 860), (430, 820), (640, 1110), (500, 1240), (490, 1390)], float)
FATES = ("read", "read", "read", "read", "flagged", "fracture", "missing", "far", "wrong_side")
UNFIT_FATES = ("fracture", "fracture", "missing", "read", "flagged")


@dataclass
class TrueHip:
    """A row of the table, the hip of the answers that is about it, and what was done to it."""

    row: HipRow
    answer: HipReport | None
    fate: str
    points: dict[str, tuple[float, float]]


def made(statuses: tuple[str, ...] = ("intact",), subjects: int = 14, seed: int = 0) -> "Made":
    """Pelvis films, three of each subject in one of three styles; two hips each, every one with its own fate."""
    rng = np.random.default_rng(seed)
    hips: list[TrueHip] = []
    films: list[FilmAnswers] = []
    for k in range(3 * subjects):
        style = ("equalized", "sigmoid", "window")[rng.integers(3)]
        person = {"age_years": float(44 + 3 * (k // 3)), "sex": "FM"[k // 3 % 2], "maker": f"Maker {'AB'[k % 2]}"}
        here = [_hip(rng, f"films/{k:03d}.dcm", f"S{k // 3:02d}", side, style, statuses, person) for side in "RL"]
        films.append(_film(here, k, person))
        hips += here
    return Made(hips, films)


@dataclass
class Made:
    """A set of hips and the answers of their films."""

    hips: list[TrueHip]
    films: list[FilmAnswers]

    def table(self, folder: Path) -> Path:
        """Written as a film table; its films do not exist."""
        write_table(folder / "films.csv", [hip.row for hip in self.hips])
        return folder / "films.csv"

    def scored(self, folder: Path, world: str = "foreign"):
        """What `bmd-edge world` says of them: facts of the table, and its hips."""
        table = NamedTable(world, world, self.table(folder))
        return score_table(table, read_rows(table, "test"), self.films, Known(), "int8")

    def without_landmarks(self) -> "Made":
        """The same table, but nobody has marked the hips."""
        rows = [
            replace(hip.row, extra={k: v for k, v in hip.row.extra.items() if not k.endswith("_px") or "mm" in k})
            for hip in self.hips
        ]
        return Made([replace(hip, row=row) for hip, row in zip(self.hips, rows, strict=True)], self.films)


def _hip(rng, film, subject, side, style, statuses, person) -> TrueHip:
    status = statuses[rng.integers(len(statuses))]
    fates = FATES if status == "intact" else UNFIT_FATES
    fate = fates[rng.integers(len(fates))]
    points = RIGHT_PX + rng.normal(0, 40, 2)
    if side == "L":
        points = points * (-1, 1) + (2400, 0)
    truth = rng.normal((0.70, 0.82), 0.12).clip(0.45, 1.15)
    dexa = {site: round(float(v), 3) for site, v in zip(SITES, truth, strict=True)} if status == "intact" else {}
    named = {name: (float(x), float(y)) for name, (x, y) in zip(LANDMARKS, points.round(2), strict=True)}
    cells = {f"x_{name}_{axis}_px": repr(v) for name, xy in named.items() for axis, v in zip("xy", xy, strict=True)}
    cells |= {"x_status": status, "x_style": style, "x_mm_per_px": str(MM_PER_PX)}
    row = HipRow(
        film=film, subject=subject, side=side, split="test", bmd_gcm2=dexa or dict.fromkeys(SITES),
        scale="hologic" if dexa else None, extra=cells, **person,
    )  # fmt: skip
    return TrueHip(row, _answer(rng, side, points, truth, fate, person), fate, named)


def _answer(rng, side, points, truth, fate, person) -> HipReport | None:
    if fate == "missing":
        return None
    found = points + rng.normal(0, 9, points.shape) + (0, 250 if fate == "far" else 0)
    marks = {name: (float(x), float(y)) for name, (x, y) in zip(LANDMARKS, found, strict=True)}
    called = {"R": "L", "L": "R"}[side] if fate == "wrong_side" else side
    if fate == "fracture":
        return HipReport(side=called, status="refused", reason=fate, landmarks_px=marks, box_px=None, estimates=())
    value = 0.75 + 0.6 * (truth - 0.75) + rng.normal(0, 0.05, 2)
    flags = ("unlike_training_films",) if fate == "flagged" else ()
    calibration = made_bundle().calibration["fp32"]
    numbers = estimates(value, [0.05, 0.06], calibration, person["age_years"], person["sex"], flags)
    return HipReport(side=called, status="read", reason=None, landmarks_px=marks, box_px=None, estimates=numbers)


def _film(hips: list[TrueHip], number: int, person: dict) -> FilmAnswers:
    found = tuple(hip.answer for hip in hips if hip.answer)
    read = any(hip.estimates for hip in found)
    report = FilmReport(
        file=hips[0].row.film, film_id=f"{number:016x}", status="read" if read else "refused",
        reason=None if read else found[0].reason if found else "not_a_hip", spacing_mm=(0.21, 0.21),
        bundle="test", bundle_digest="ab" * 32, device="cpu", precision="int8", hips=found, **person,
    )  # fmt: skip
    return FilmAnswers(hips[0].row.film, report.film_id, {"int8": report})
