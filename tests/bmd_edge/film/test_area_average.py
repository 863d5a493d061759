"""Area averaging against a supersampled oracle and against one product of whole matrices."""

import warnings

import numpy as np
import pytest

from bmd_edge.film.area_average import area_average, shares
from bmd_edge.film.read import read_film
from tests.support import films
from tests.support.films import bright


def supersampled(values, left, top, width, height, shape, n=32):
    """Mean of `n` x `n` points in each output pixel, none outside the film; exact for boxes on a 1/n grid."""
    x = left + width * (np.arange(shape[1] * n) + 0.5) / (shape[1] * n)
    y = top + height * (np.arange(shape[0] * n) + 0.5) / (shape[0] * n)
    grid = np.full((len(y), len(x)), np.nan)
    rows, columns = (y >= 0) & (y < values.shape[0]), (x >= 0) & (x < values.shape[1])
    grid[np.ix_(rows, columns)] = values[np.ix_(y[rows].astype(int), x[columns].astype(int))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(grid.reshape(shape[0], n, shape[1], n), axis=(1, 3))


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 90, 120, (120, 90)),
        (0, 0, 90, 120, (30, 45)),
        (10.25, 20.5, 60, 80, (20, 15)),
        (-20, -12, 140, 152, (38, 35)),
        (30.125, 40.75, 10, 10, (40, 40)),
        (80, 110, 32, 32, (16, 16)),
        (12, 9, 66.5, 7.25, (1, 19)),
        (-300, 0, 200, 50, (4, 4)),
    ],
)
def test_region_equals_a_supersampled_oracle(box):
    film = read_film(films.dicom_bytes())
    *place, shape = box
    got = film.region(*place, shape=shape)
    expected = supersampled(bright(film).astype(np.float64), *place, shape)
    assert got.dtype == np.float32
    assert got.shape == shape
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    # The oracle's points are exact only where the box lies on their grid
    np.testing.assert_allclose(got, expected, atol=2e-3 if shape == (1, 19) else 2e-6)


def whole(made):
    """The shares as one matrix (outputs, inputs)."""
    matrix = np.zeros((made.high, made.inputs))
    for start, left, right, part in made.bands(8):
        matrix[start : start + len(part), left:right] = part
    return matrix


@pytest.mark.parametrize("kept", [True, False])
def test_region_of_a_tall_film_in_bands_equals_one_product(monkeypatch, kept):
    if not kept:
        monkeypatch.setattr("bmd_edge.film.film._KEPT_BRIGHT", 0)
    frame = films.pixels(2500, 700, seed=3)
    film = read_film(films.dicom_bytes(frame, ImagerPixelSpacing=["0.15", "0.15"]))
    got = film.region(-7.3, 100.7, 650, 2390.1, shape=(301, 77))
    down, across = whole(shares(100.7, 2390.1, 301, 2500)), whole(shares(-7.3, 650, 77, 700))
    np.testing.assert_allclose(got, down @ bright(film) @ across.T, atol=2e-6)
    assert film.region(0, 0, 700, 2500, shape=(1, 1)) == pytest.approx(bright(film).mean(), abs=2e-6)


def test_resample_of_an_array_is_the_same_mathematics():
    film = read_film(films.dicom_bytes())
    box, shape = (5.5, -3, 70, 100), (50, 35)
    np.testing.assert_allclose(area_average(bright(film), *box, shape), film.region(*box, shape=shape), atol=1e-6)
    identity = area_average(films.pixels(), 0, 0, 90, 120, (120, 90))
    np.testing.assert_array_equal(identity, films.pixels())


@pytest.mark.parametrize("between", [False, True])
def test_shares_sum_to_one_inside_and_zero_outside(between):
    made = shares(-10.5, 40, 16, 20, between)
    assert (made.low, made.high) == (4, 13)
    sums = whole(made).sum(axis=1)
    assert set(np.round(sums, 5)) == {0.0, 1.0}
    assert shares(30, 5, 4, 20, between).high == 0


def test_shares_of_squares_and_of_samples():
    np.testing.assert_allclose(whole(shares(1, 2, 1, 4)), [[0, 0.5, 0.5, 0]])
    np.testing.assert_allclose(whole(shares(1, 1, 1, 4, between=True)), [[0.125, 0.75, 0.125, 0]])
    np.testing.assert_allclose(whole(shares(0, 1, 1, 4, between=True)), [[0.875, 0.125, 0, 0]])


@pytest.mark.parametrize(("start", "length", "n_out"), [(-3.3, 30.7, 11), (2.25, 9.5, 40), (0, 20, 20), (7.9, 0.3, 5)])
def test_samples_are_read_as_a_line_between_them(start, length, n_out):
    """Against the integral of numpy's linear interpolation over what each output covers of the axis."""
    values = np.random.default_rng(2).uniform(0, 1, 20)
    made = shares(start, length, n_out, 20, between=True)
    for i in range(made.low, made.high):
        low, high = np.clip([start + length * i / n_out, start + length * (i + 1) / n_out], 0, 20)
        x = low + (high - low) * (np.arange(4000) + 0.5) / 4000
        expected = np.interp(x, np.arange(20) + 0.5, values).mean()
        assert whole(made)[i] @ values == pytest.approx(expected, abs=1e-5)


def test_what_is_outside_spreads_to_no_more_than_touches_it():
    values = films.pixels(60, 50, seed=5).astype(np.float32)
    values[:17], values[:, 41:] = np.nan, np.nan
    got = area_average(values, 0, 0, 50, 60, (30, 25))
    expected = values.reshape(30, 2, 25, 2).mean((1, 3))  # rows 16 and 17, columns 40 and 41 are half outside
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got[9:, :20], expected[9:, :20], rtol=1e-5)
