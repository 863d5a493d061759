"""The ten changes of display and surroundings: each changes what it says and leaves the bone that is measured."""

import io

import numpy as np
import pydicom
import pytest

from bmd_edge.film.read import read_film
from export.proofs.surroundings import CHANGES, TOP, Change, dicom, figures, hip_of, spec
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS, TRAINING_MAKERS


@pytest.fixture(scope="module")
def made() -> PhantomFilm:
    return film(spec(3, 5))


def pixels(made: PhantomFilm, kind: str) -> np.ndarray:
    """Stored pixels of one form, without padding."""
    data = pydicom.dcmread(io.BytesIO(dicom(made, kind, np.random.default_rng(4))))
    stored = data.pixel_array.astype(int)
    grown = (np.array(stored.shape) - made.pixels.shape) // 2
    return stored[grown[0] : stored.shape[0] - grown[0], grown[1] : stored.shape[1] - grown[1]]


def test_films_are_of_learned_and_of_held_out_makers() -> None:
    styles = {spec(number, 1).style for number in range(20)}
    assert styles > set(HELD_OUT_MAKERS)
    assert styles & set(TRAINING_MAKERS)
    assert len({spec(number, seed).seed for number in range(20) for seed in (1, 2)}) == 40


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_leaves_neck_and_head_as_they_are_or_shows_them_otherwise(made: PhantomFilm, kind: str) -> None:
    """Display changes keep the stored pixels or their order; surroundings keep every pixel between the landmarks."""
    plain, changed = pixels(made, ""), pixels(made, kind)
    x, y = (np.array(hip_of(made).landmarks_px["neck_center"]) - 0.5).round().astype(int)
    before, after = (image[y - 20 : y + 20, x - 20 : x + 20] for image in (plain, changed))
    if kind == "burned_window":
        assert (after != before).any()
        order = np.argsort(before.ravel(), kind="stable")
        assert (np.diff(after.ravel()[order]) >= 0).all()
    else:
        assert (after == before).all()


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_film_is_read_and_is_another_film(made: PhantomFilm, kind: str) -> None:
    data = dicom(made, kind, np.random.default_rng(4))
    assert data == dicom(made, kind, np.random.default_rng(4))
    assert data != dicom(made, "", np.random.default_rng(4))
    assert read_film(data).shape


def test_edges_labels_and_shutters_reach_the_ends_of_the_gray_range(made: PhantomFilm) -> None:
    plain = pixels(made, "")
    for kind, value in (("white_edge", TOP), ("black_edge", 0), ("white_label", TOP), ("dark_text", 0)):
        changed = pixels(made, kind)
        assert (changed[changed != plain] == value).all()
        assert 0.0001 < (changed != plain).mean() < 0.5


def test_figures_count_unflagged_numbers_only() -> None:
    found = [
        Change("shutter", True, (0.01, -0.03), ()),
        Change("shutter", True, (0.5, 0.5), ("low_contrast",)),
        Change("shutter", False, None, ()),
    ]
    facts = figures(found)
    assert (facts["n"], facts["no_number"], facts["flagged"]) == (3, 1, 1)
    assert facts["unflagged_median_gcm2"] == pytest.approx(0.02)
    assert facts["unflagged_largest_gcm2"] == pytest.approx(0.03)
    assert figures(found[1:])["unflagged_p95_gcm2"] is None
