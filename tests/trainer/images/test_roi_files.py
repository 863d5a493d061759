import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.network_input import BMD as BMD_SPEC
from bmd_edge.bundle.network_input import normalize
from bmd_edge.errors import TableError
from bmd_edge.film.area_average import area_average
from bmd_edge.table.film_table import read_table, write_table
from tests.support import stand_in
from trainer.images.gray_png import floats, png16, read_png
from trainer.images.roi_files import read_rois, roi_image
from trainer.images.rows import read_rows


def changed(cohort: Path, where: str, **changes: object) -> Path:
    """The cohort's table with the first row of `x_image = where` changed."""
    rows = read_table(cohort)
    index = next(index for index, row in enumerate(rows) if row.extra["x_image"] == where)
    extra = {**rows[index].extra, **{key: str(value) for key, value in changes.items() if key.startswith("x_")}}
    other = {key: value for key, value in changes.items() if not key.startswith("x_")}
    rows[index] = dataclasses.replace(rows[index], extra={key: text for key, text in extra.items() if text}, **other)
    path = cohort.with_name("changed.csv")
    write_table(path, rows)
    return path


def test_a_roi_is_the_middle_of_the_png_as_the_runtime_sees_it(cohort: Path) -> None:
    rois = read_rois(read_rows(cohort, "roi", ["train"]))
    stored = read_png(rois.rows[3])
    seen = area_average(stored, 16, 16, 224, 224, (112, 112)) / np.float32(65535)
    assert roi_image(rois.pixels[3]) == pytest.approx(normalize(seen, BMD_SPEC), abs=1e-4)


def test_outside_the_film_is_no_pixel_of_a_roi(cohort: Path) -> None:
    rows = read_rows(cohort, "roi", ["train"])
    stored = read_png(rows[3])
    stored[:101] = 0
    stand_in.write_png(cohort.parent / "roi/edge.png", stored)
    pixels = read_rois([dataclasses.replace(rows[3], film_path=cohort.parent / "roi/edge.png")]).pixels[0]
    assert np.isnan(floats(pixels)[:101]).all()
    assert np.isfinite(floats(pixels)[101:]).all()
    shown = (stored[16:240, 16:240] / np.float32(65535)).reshape(112, 2, 112, 2).mean((1, 3))
    shown[:43] = np.nan  # rows 84 and 85 of the window make one of the network's, which is half outside
    assert roi_image(pixels) == pytest.approx(normalize(shown, BMD_SPEC), abs=1e-6)


def test_the_darkest_pixel_of_a_film_is_not_outside(tmp_path: Path, cohort: Path) -> None:
    image = np.array([[0.0, -0.1, 1e-6, 0.5], [1.0, 1.2, np.nan, 0.25]], np.float32)
    path = tmp_path / "small.png"
    path.write_bytes(png16(image))
    row = dataclasses.replace(read_rows(cohort, "roi", ["train"])[0], film_path=path)
    shown = floats(read_png(row))
    assert np.array_equal(np.isnan(shown), np.isnan(image))
    assert shown == pytest.approx(np.clip(image, 0, 1), abs=1.01 / 65535, nan_ok=True)


def test_labels_are_learned_on_the_hologic_scale(cohort: Path) -> None:
    rows = read_rows(cohort, "roi", ["train"])[:3]
    bmd = {"femoral_neck": 0.899, "total_hip": None}
    labels = read_rois([dataclasses.replace(row, bmd_gcm2=bmd, scale="lunar") for row in rows]).labels_gcm2
    assert labels[:, 0] == pytest.approx(0.738, abs=0.001)  # T = -1 on both scales
    assert np.isnan(labels[:, 1]).all()


def test_eight_bit_png_is_refused(cohort: Path) -> None:
    stand_in.write_png(cohort.parent / "roi/byte.png", np.zeros((256, 256), np.uint8))  # type: ignore[arg-type]
    rows = read_rows(changed(cohort, "roi", film="roi/byte.png"), "roi", ["train", "val"])
    with pytest.raises(TableError, match="not a 16-bit gray PNG"):
        read_rois(rows)
