import dataclasses
from pathlib import Path

import numpy as np

from bmd_edge.bundle.manifest import LANDMARKS
from tests.support.stand_in import films_of
from trainer.images.whole_films import Window, cut


def test_cut_keeps_landmarks_on_their_pixels(cohort: Path) -> None:
    """A mirrored, shifted, scaled window: a bright pixel at each landmark is where the landmark says."""
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    for side, mirrored in (("R", False), ("L", True)):
        points = film.hips[side].landmarks_px
        for index in range(len(LANDMARKS)):
            x, y = points[index].astype(int)
            marked = np.zeros_like(film.pixels)
            marked[y, x] = 65535
            window = Window((points[2, 0] + 9.5, points[2, 1] - 4.2), 0.93, mirrored, (0, 0, *film.pixels.shape[::-1]))
            region, hip = cut(dataclasses.replace(film, pixels=marked), window, 256)
            assert hip is not None
            if np.isfinite(hip.landmarks_px[index]).all():
                row, col = np.unravel_index(int(np.nanargmax(region)), region.shape)
                assert np.hypot(*(hip.landmarks_px[index] - (col + 0.5, row + 0.5))) < 2.2


def test_crop_hides_pixels_and_landmarks(cohort: Path) -> None:
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    bottom = int(film.hips["R"].landmarks_px[4, 1])
    crop = (0, 0, film.pixels.shape[1], bottom)
    region, hip = cut(film, Window((200.0, 150.0), 2.0, False, crop), 256)
    assert hip is not None
    assert np.isfinite(hip.landmarks_px[0]).all()
    assert np.isnan(hip.landmarks_px[4:]).all()
    assert np.isnan(region[int((bottom - 150) / 2 + 128) + 2 :]).all()
