"""A cohort on disk: which films it holds, their making on several cores, resuming, and the film table.

Layout: OUT/films.csv (film table), OUT/roi/NNNNNN.png (256 x 256, 16 bit, 0.65 mm at the hip, canonical side),
OUT/film/NNNNNN.png (whole films at 0.9 mm), OUT/dicom/NNNNNN.dcm, OUT/rows/NNNNNN.json (one item done),
OUT/config.json, OUT/progress.json. An item is one file, written beside its place and renamed, so an interrupted run
goes on where it stopped and gives the same bytes.
"""

import ctypes
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import groupby, islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import UsageError
from bmd_edge.film.area_average import area_average
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from bmd_edge.table.film_table import BMD_RANGE_GCM2, HipRow, write_table
from trainer.images.gray_png import png16
from trainer.images.roi_files import ROI_PX, ROI_SPACING_MM
from trainer.phantom.cohort.plan import FINDER_ERROR_MM, MAX_FINDER_ERROR_MM, CohortConfig, Item, items
from trainer.phantom.film.around import exposure_of
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.scene import ROI_SIDE_MM, stream
from trainer.phantom.film.view import PhantomHip
from trainer.phantom.film.write_dicom import SYNTAXES, write_dicom

FILM_SPACING_MM = 0.9
_PR_SET_PDEATHSIG = 1


def make_item(item: Item, out: Path) -> float:
    """Make one item unless it is there; returns the CPU seconds spent (0 when it was there)."""
    done = out / "rows" / f"{item.number:06d}.json"
    if done.exists():
        return 0.0
    start = time.process_time()
    made = film(item.spec)
    data, rows = _FORMS[item.place](item, made)
    replace_bytes(out / item.file, data)
    spent = time.process_time() - start
    replace_bytes(done, json.dumps(rows, sort_keys=True).encode())
    return spent


def _roi_form(item: Item, made: PhantomFilm) -> tuple[bytes, list[dict[str, str]]]:
    hip = made.hips[0]
    image, left, top = roi_image(made, hip)
    scale = made.header.believed_spacing_mm / ROI_SPACING_MM
    points = {name: ((x - left) * scale, (y - top) * scale) for name, (x, y) in hip.landmarks_px.items()}
    if hip.side == "L":
        points = {name: (ROI_PX - x, y) for name, (x, y) in points.items()}
    return png16(image), [_row(item, made, hip, points, ROI_SPACING_MM)]


def roi_image(made: PhantomFilm, hip: PhantomHip) -> tuple[NDArray[np.float32], float, float]:
    """The region of a hip (256, 256) float32 bone bright at 0.65 mm, left hips mirrored; and its left and top edge in
    film pixels.

    It is cut as in use: at the spacing that the header lets one believe, around a center that is off as a finder's is.
    """
    center = 0.5 * (np.array(hip.landmarks_px["head_center"]) + np.array(hip.landmarks_px["lesser_trochanter"]))
    off_mm = (
        stream(made.spec.seed, f"finder {hip.side}")
        .normal(0.0, FINDER_ERROR_MM, 2)
        .clip(-MAX_FINDER_ERROR_MM, MAX_FINDER_ERROR_MM)
    )
    center += off_mm / made.spacing_mm
    side_px = ROI_SIDE_MM / made.header.believed_spacing_mm
    left, top = (float(v) for v in center - side_px / 2)
    image = area_average(made.bone_bright(), left, top, side_px, side_px, (ROI_PX, ROI_PX))
    return (image[:, ::-1] if hip.side == "L" else image), left, top


def _film_form(item: Item, made: PhantomFilm) -> tuple[bytes, list[dict[str, str]]]:
    scale = made.spacing_mm / FILM_SPACING_MM
    shape = (int(made.pixels.shape[0] * scale), int(made.pixels.shape[1] * scale))
    image = area_average(made.bone_bright(), 0.0, 0.0, shape[1] / scale, shape[0] / scale, shape)
    return png16(image), _film_rows(item, made, scale, FILM_SPACING_MM)


def _dicom_form(item: Item, made: PhantomFilm) -> tuple[bytes, list[dict[str, str]]]:
    buffer = io.BytesIO()
    write_dicom(buffer, made, list(SYNTAXES)[item.number % len(SYNTAXES)])
    return buffer.getvalue(), _film_rows(item, made, 1.0, made.spacing_mm)


_FORMS: dict[str, Callable[[Item, PhantomFilm], tuple[bytes, list[dict[str, str]]]]] = {
    "roi": _roi_form, "film": _film_form, "dicom": _dicom_form,
}  # fmt: skip


def _film_rows(item: Item, made: PhantomFilm, scale: float, spacing_mm: float) -> list[dict[str, str]]:
    if not made.hips:
        return [_row(item, made, None, {}, spacing_mm)]
    return [
        _row(item, made, hip, {name: (x * scale, y * scale) for name, (x, y) in hip.landmarks_px.items()}, spacing_mm)
        for hip in made.hips
    ]


def _row(
    item: Item, made: PhantomFilm, hip: PhantomHip | None, points: dict[str, tuple[float, float]], spacing_mm: float
) -> dict[str, str]:
    """One hip as the cells of the film table (text); empty cells are left out."""
    age, sex, bmi = made.person
    cells = {
        "film": item.file, "subject": item.subject, "side": hip.side if hip else item.spec.side, "split": item.split,
        "age_years": f"{age:.1f}", "sex": sex, "bmi": f"{bmi:.1f}", "maker": made.header.maker, "pose": item.pose,
        "x_maker_style": made.style.name, "x_kind": hip.kind if hip else "not_a_hip", "x_case": item.spec.case,
        "x_scene": made.scene,
        "x_image": item.place, "x_spacing_mm": f"{spacing_mm:.6g}", "x_seed": str(item.spec.seed),
        "x_cut_off": str(int(hip.cut_off)) if hip else "0",
    }  # fmt: skip
    for name, (x, y) in points.items():
        cells |= {f"x_{name}_x": f"{x:.3f}", f"x_{name}_y": f"{y:.3f}"}
    if hip and hip.true_bmd_gcm2 and hip.label_bmd_gcm2:
        cells |= {f"x_true_bmd_{site}": f"{hip.true_bmd_gcm2[site]:.5f}" for site in SITES}
        # Films of one view teach that their hip is the same: they carry the truth, without a scanner's error.
        label = hip.label_bmd_gcm2 if item.spec.view_seed is None else hip.true_bmd_gcm2
        if item.split != "unlabelled":
            # A few bones of the wide population have more or less mineral than a film table takes for anyone's.
            low, high = BMD_RANGE_GCM2
            known = {f"bmd_{site}_gcm2": f"{label[site]:.3f}" for site in SITES if low <= round(label[site], 3) <= high}
            cells |= known | ({"scale": "hologic"} if known else {})
    return cells


def make_cohort(
    config: CohortConfig, out: Path, workers: int = 2, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Path:
    """Make or finish a cohort in `out`; returns the film table's path. UsageError if `out` holds another
    configuration.
    """
    _claim(config.text(), out)
    return make_items(items(config), out, workers, progress)


def make_items(
    todo: list[Item], out: Path, workers: int = 2, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Path:
    """Make the items that are missing in `out`, and the film table of all; returns its path."""
    for folder in ("roi", "film", "dicom", "rows"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    missing = [item for item in todo if not (out / "rows" / f"{item.number:06d}.json").exists()]
    clock = _Clock(out, len(todo), len(todo) - len(missing), progress)
    if workers <= 1 or len(missing) < 2:
        for item in missing:
            clock.tick(make_item(item, out))
    else:
        _in_parallel(missing, out, workers, clock)
    clock.write()
    table = out / "films.csv"
    write_table(table, [row for item in todo for row in _read_rows(item, out)])
    return table


def _claim(config: str, out: Path) -> None:
    mark = out / "config.json"
    if mark.exists() and mark.read_text() != config:
        raise UsageError(f"{out} holds a cohort of another configuration; give another folder")
    out.mkdir(parents=True, exist_ok=True)
    replace_bytes(mark, config.encode())


class _Clock:
    """Counts items and CPU seconds, and writes progress.json at most once a second."""

    def __init__(self, out: Path, total: int, done: int, progress: Callable[[int, int], None]) -> None:
        self.out, self.total, self.done, self.progress = out, total, done, progress
        self.made, self.cpu_s, self.start_s, self.last_s = 0, 0.0, time.monotonic(), 0.0

    def tick(self, cpu_s: float) -> None:
        self.done, self.made, self.cpu_s = self.done + 1, self.made + 1, self.cpu_s + cpu_s
        self.progress(self.done, self.total)
        if time.monotonic() - self.last_s > 1.0:
            self.write()

    def write(self) -> None:
        self.last_s = time.monotonic()
        facts = {
            "done": self.done,
            "total": self.total,
            "cpu_s": round(self.cpu_s, 2),
            "wall_s": round(self.last_s - self.start_s, 1),
        }
        facts["cpu_s_per_item"] = round(self.cpu_s / max(self.made, 1), 3)
        replace_bytes(self.out / "progress.json", json.dumps(facts).encode())


def _in_parallel(missing: list[Item], out: Path, workers: int, clock: _Clock) -> None:
    """One thread per worker process; the first item is made here, so that compiled code and texture tiles are shared
    by fork.
    """
    clock.tick(make_item(missing[0], out))
    queue = (list(group) for _, group in groupby(missing[1:], key=lambda item: item.subject))
    with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=settle_worker) as pool:
        running: set[Future[list[float]]] = {
            pool.submit(_make_items, group, out) for group in islice(queue, 4 * workers)
        }
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    for cpu_s in future.result():
                        clock.tick(cpu_s)
                running |= {pool.submit(_make_items, group, out) for group in islice(queue, len(finished))}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _make_items(group: list[Item], out: Path) -> list[float]:
    """The films of one subject, one after the other, so that the subject's grids are made once."""
    return [make_item(item, out) for item in group]


def settle_worker() -> None:
    """A worker process yields to others, leaves Ctrl-C to its parent, and ends with it."""
    os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _read_rows(item: Item, out: Path) -> list[HipRow]:
    facts = {"x_kvp": f"{exposure_of(item.spec).kvp:.1f}"} | item.facts
    return [
        _hip_row(cells | facts, out) for cells in json.loads((out / "rows" / f"{item.number:06d}.json").read_text())
    ]


def _hip_row(cells: dict[str, str], out: Path) -> HipRow:
    def number(name: str) -> float | None:
        return float(cells[name]) if name in cells else None

    return HipRow(
        film=cells["film"], film_path=out / cells["film"], subject=cells["subject"], side=cells["side"],
        split=cells["split"],
        age_years=number("age_years"), sex=cells["sex"], bmd_gcm2={site: number(f"bmd_{site}_gcm2") for site in SITES},
        scale=cells.get("scale"), maker=cells["maker"], bmi=number("bmi"), pose=cells["pose"],
        extra={name: text for name, text in cells.items() if name.startswith("x_")},
    )  # fmt: skip
