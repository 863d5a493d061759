import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.film.area_average import area_average
from tests.support.stand_in import films_of
from trainer.images.whole_films import TrainingFilm, Window, cut, field_edges, upright


def whole(film: TrainingFilm) -> NDArray[np.float64]:
    return field_edges((0, 0, *film.pixels.shape[::-1]))


@pytest.mark.parametrize("angle", [0.0, 20.0, -75.0])
def test_cut_keeps_landmarks_on_their_pixels(cohort: Path, angle: float) -> None:
    """In a mirrored, shifted, scaled, turned, sheared window a bright pixel at each landmark is where it says."""
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    shear = np.eye(2) if angle == 0 else np.array([[1.05, 0.06], [-0.02, 0.96]])
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    for side, mirrored in (("R", False), ("L", True)):
        points = film.hips[side].landmarks_px
        for index in range(len(LANDMARKS)):
            x, y = points[index].astype(int)
            marked = np.zeros_like(film.pixels)
            marked[y, x] = 65535
            window = Window(points[2] + (9.5, -4.2), turn @ upright(0.93, mirrored) @ shear, whole(film))
            assert window.mirrored == mirrored
            region, hip = cut(dataclasses.replace(film, pixels=marked), window, 256)
            assert hip is not None
            if np.isfinite(hip.landmarks_px[index]).all():
                row, col = np.unravel_index(int(np.nanargmax(region)), region.shape)
                assert np.hypot(*(hip.landmarks_px[index] - (col + 0.5, row + 0.5))) < 2.2


def test_crop_hides_pixels_and_landmarks(cohort: Path) -> None:
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    bottom = int(film.hips["R"].landmarks_px[4, 1])
    crop = field_edges((0, 0, film.pixels.shape[1], bottom))
    region, hip = cut(film, Window(np.array([200.0, 150.0]), upright(2.0, False), crop), 256)
    assert hip is not None
    assert np.isfinite(hip.landmarks_px[0]).all()
    assert np.isnan(hip.landmarks_px[4:]).all()
    assert np.isnan(region[int((bottom - 150) / 2 + 128) + 2 :]).all()


@pytest.mark.parametrize("step", [1.0, 2.0, 3.0])
def test_a_window_at_whole_steps_is_the_area_average(cohort: Path, step: float) -> None:
    """At whole steps, wherever it lies, inside the film: the mathematics of the runtime."""
    film = films_of(cohort)[0]
    place = np.array([150.0, 120.0]) if step == 1 else np.array([151.0, 121.0]) // step * step
    shift = np.array([0.3, 0.8]) if step == 1 else 0.0
    region, _ = cut(film, Window(place + shift, upright(step, False), whole(film)), 32)
    half = 16 * step
    wanted = area_average(film.pixels, *(place + shift - half), 2 * half, 2 * half, (32, 32)) / 65535
    assert region == pytest.approx(wanted, abs=1e-5)


def test_edges_turn_about_the_middle_of_the_box() -> None:
    edges = field_edges((10, 20, 50, 40), 90.0)
    inside = [all(edges[:, :2] @ point <= edges[:, 2]) for point in ((30, 11), (30, 49), (21, 30), (11, 30))]
    assert inside == [True, True, True, False]
