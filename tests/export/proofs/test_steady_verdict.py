"""The proof of steady verdicts: its changes leave a film as it is, and its figures count what changed."""

import io

import numpy as np
import pydicom
import pytest

from bmd_edge.film.read import read_film
from export.bundle.finder_limits import film_of_gray
from export.proofs.steady_verdict import DOUBT, HARMLESS, Verdict, changed, compared, shaft_cut, slack, told
from tests.support.screening import drawn_screener, hip_dicom


def test_a_cut_shaft_goes_on_elsewhere() -> None:
    """A bright bar as the shaft: above the cut nothing moves, below it the bar stands aside and leans."""
    gray = np.full((400, 300), 100, np.uint16)
    gray[:, 140:160] = 1000
    points = np.array([[80, 50], [100, 80], [160, 90], [140, 150], [150, 200], [150, 300]], float)
    cut = shaft_cut(film_of_gray(gray, 1.0), points, np.random.default_rng(3)).stored
    assert np.array_equal(cut[:160], gray[:160])
    assert np.array_equal(cut[:, :100], gray[:, :100])
    places = [np.flatnonzero(cut[row] > 500).mean() for row in (150, 190, 210)]
    assert places[0] == 149.5
    lean = abs(places[2] - places[1]) / 20
    assert np.tan(np.deg2rad(8)) < lean < np.tan(np.deg2rad(27))


def test_what_is_told_of_the_shaft() -> None:
    found = told([(1.0, 5.0), (1.2, 3.4), (3.6, 4.0)])
    assert (found["hips"], found["intact_beyond"], found["cut_beyond"]) == (3, 1, 2)


def dataset(**header: object) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(hip_dicom("R", **header)))


def shown(data: pydicom.Dataset) -> np.ndarray:
    """A film's gray, 0..1."""
    film = read_film(data)
    return film.lookup[film.stored.astype(int) - film.lookup_first]


def test_every_change_leaves_what_the_film_shows() -> None:
    data = dataset(WindowCenter=1500, WindowWidth=2400)
    gray, film = shown(data), read_film(data)
    made = dict(changed(data))
    assert set(made) == {*HARMLESS, *DOUBT}
    assert np.array_equal(shown(data), gray)
    for name, factor in ((name, float(name.removeprefix("pixel_size_"))) for name in made if "size" in name):
        assert read_film(made[name]).spacing_mm == pytest.approx(np.multiply(film.spacing_mm, factor))
        assert np.array_equal(shown(made[name]), gray)
    assert made["lossless_syntax"].file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(shown(made["lossless_syntax"]), gray)
    assert np.array_equal(shown(made["first_row_cut"]), gray[1:, 1:])
    assert made["one_more_bit"].BitsStored == 13
    assert shown(made["one_more_bit"]) == pytest.approx(gray, abs=1e-3)
    middles = (gray[1:, 1:] + gray[:-1, :-1] + gray[1:, :-1] + gray[:-1, 1:]) / 4
    between = shown(made["half_a_pixel"])  # its gray range is its own: the noise has lost its ends
    line = np.polyfit(between.ravel(), middles.ravel(), 1)
    assert np.abs(np.polyval(line, between) - middles).mean() < 1e-3


def test_a_film_in_jpeg_ls_is_written_without_compression() -> None:
    packed = dict(changed(dataset()))["lossless_syntax"]
    plain = dict(changed(packed))["lossless_syntax"]
    assert not plain.file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(shown(plain), shown(packed))


def test_changed_films_are_read_as_the_film_itself() -> None:
    data = dataset()
    with drawn_screener() as screener:
        assert screener.read(data).status == "read"
        assert all(screener.read(other).status == "read" for _, other in changed(data))


def test_figures_count_what_changed() -> None:
    def read(neck: float) -> Verdict:
        return Verdict("read", (neck, 0.9), (0.08, 0.08))

    before = [{"R": read(0.7), "L": Verdict("not_measurable")}, {"R": read(0.8)}, {"": Verdict("not_a_hip")}]
    after = [{"R": read(0.71), "L": Verdict("implant")}, {"R": Verdict("implant")}, {"R": read(0.6)}]
    found = compared([*before, {"R": read(0.5)}], [*after, {"R": read(0.6)}])
    assert (found["hips"], found["another_verdict"], found["number_or_none"]) == (6, 4, 2)
    assert (found["number_or_disease"], found["read_both_times"], found["moved_out_of_the_interval"]) == (1, 2, 1)
    assert found["moved_gcm2"] == {"median": 0.055, "p90": 0.091, "most": 0.1}


def test_slack_is_twice_the_sd_around_the_merged_look() -> None:
    apart = [(sign * 0.1, sign * 0.05, sign * np.log(1.1), sign * np.log(1.2)) for sign in (-1, 1)]
    assert slack(apart) == {"looks": 2, "intact": 0.2, "peak": 0.1, "shape": 1.21, "embedding": 1.44}
