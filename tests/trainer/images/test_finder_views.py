from pathlib import Path

import numpy as np

from bmd_edge.bundle.network_input import FINDER_CLOSEUP, FINDER_SURVEY
from tests.support.stand_in import films_of
from trainer.images.finder_views import (
    FAR_MM,
    IGNORED_KIND,
    NEAR_MM,
    closeup,
    exact_closeup,
    exact_survey,
    nonsense,
    survey,
)
from trainer.run.settings import FinderConfig


def test_views_name_the_canonical_hip(cohort: Path) -> None:
    everything = films_of(cohort)
    pelvis = next(film for film in everything if len(film.hips) == 2)
    single = next(film for film in everything if len(film.hips) == 1 and film.hips["L"].kind == "implant")
    nothing = next(film for film in everything if not film.hips)
    assert [exact_survey(pelvis, mirrored).kind for mirrored in (False, True)] == [0, 0]
    assert [exact_survey(single, mirrored).kind for mirrored in (False, True)] == [5, 1]
    assert [exact_survey(nothing, mirrored).kind for mirrored in (False, True)] == [5, 5]
    view = exact_closeup(single, single.hips["L"], np.random.default_rng(0))
    assert view.kind == 1
    assert view.spec is FINDER_CLOSEUP
    assert np.hypot(*(view.landmarks_px[[0, 3]].mean(0) - 128)) < 16
    # The head of a canonical hip lies to the image right of its greater trochanter.
    assert view.landmarks_px[0, 0] > view.landmarks_px[2, 0]


def test_cropped_hips_are_not_classed(cohort: Path) -> None:
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    config = FinderConfig(crop_share=1.0, photo_share=0.0)
    views = [survey(film, config, np.random.default_rng(seed)) for seed in range(60)]
    for view in views:
        assert view.spec is FINDER_SURVEY
        seen = np.isfinite(view.landmarks_px[:4]).all()
        assert view.kind == (0 if seen else IGNORED_KIND)
    assert {view.kind for view in views} == {0, IGNORED_KIND}


def test_nonsense_holds_no_hip(cohort: Path) -> None:
    for seed in range(25):
        view = nonsense(films_of(cohort)[0], FinderConfig(), np.random.default_rng(seed))
        assert view.kind == 5
        assert np.isnan(view.landmarks_px).all()
        assert view.region.shape == (256, 256)


def test_a_photograph_has_gray_levels_everywhere(cohort: Path) -> None:
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    views = [survey(film, FinderConfig(photo_share=1.0), np.random.default_rng(seed)) for seed in range(20)]
    assert all(np.isfinite(view.region).all() for view in views)
    plain = [survey(film, FinderConfig(photo_share=0.0), np.random.default_rng(seed)) for seed in range(20)]
    assert sum(np.isnan(view.region).any() for view in plain) > 5


def test_closeups_err_as_a_survey_does(cohort: Path) -> None:
    """Center, scale, turn and shear vary as the settings say, and the class says whose close-up it still is."""
    film = next(film for film in films_of(cohort) if len(film.hips) == 2)
    config = FinderConfig(shift_mm=25, scale=(0.8, 1.25), rotation_deg=20, crop_share=0)
    views = [closeup(film, config, np.random.default_rng(seed)) for seed in range(200)]
    near = [view for view in views if view.kind == 0]
    assert len(near) > 120
    away = np.array([np.hypot(*(view.landmarks_px[[0, 3]].mean(0) - 128)) * 0.9 for view in near])
    assert away.max() < 1.25 * 1.15 * NEAR_MM
    assert np.median(away) < 16  # 18 if drawn evenly by area
    lengths = np.array([np.hypot(*(view.landmarks_px[0] - view.landmarks_px[3])) for view in near])
    assert lengths.max() / lengths.min() > 1.3
    assert any(view.kind == 5 for view in views), f"none lies beyond {FAR_MM} mm or shows the hip the wrong way round"
