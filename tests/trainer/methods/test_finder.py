from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bmd_edge.errors import UsageError
from tests.trainer.small_trainings import SMALL_FINDER
from trainer.commands import run_training
from trainer.methods.finder import FinderTask
from trainer.networks.build import load_run
from trainer.run.settings import FinderConfig


def test_finder_batch_replays_and_keeps_range(cohort: Path) -> None:
    task = FinderTask(FinderConfig(batch=12, channels=(16,) * 5), cohort)
    first, again, other = (task.batch(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all((a == b).logical_or(a.isnan()).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()
    assert first[0].shape == (12, 1, 256, 256)
    assert first[0].isfinite().all()
    assert (first[0].amin(), first[0].amax()) == (0, 1)


def test_unvaried_finder_batch_shows_the_film(cohort: Path) -> None:
    """Without rotation and changes a batch is what `normalize` makes of the film: the landmarks lie on bone."""
    still = FinderConfig(
        batch=24,
        rotation_deg=0,
        shear=0,
        augment=0,
        nonsense_share=0,
        photo_share=0,
        dark_share=0,
        crop_share=0,
        channels=(16,) * 5,
    )
    images, points, kinds = FinderTask(still, cohort).batch(np.random.default_rng(1))
    heads = [(image[0], point[0]) for image, point, kind in zip(images, points, kinds, strict=True) if kind == 0]
    assert len(heads) > 3
    for image, (x, y) in heads:
        if x.isfinite():
            assert image[int(y), int(x)] > image[(image > 0) & (image < 1)].median()  # a border may be white


def test_nobody_is_told_that_dark_bone_is_intact(cohort: Path) -> None:
    plain = FinderConfig(batch=24, augment=0, nonsense_share=0, photo_share=0, dark_share=0, channels=(16,) * 5)
    images, points, kinds = FinderTask(plain, cohort).batch(np.random.default_rng(1))
    dark, dark_points, dark_kinds = FinderTask(replace(plain, dark_share=1.0), cohort).batch(np.random.default_rng(1))
    assert torch.equal(dark_points.nan_to_num(-1), points.nan_to_num(-1))
    assert (kinds == 0).any()
    assert not (dark_kinds == 0).any()
    assert torch.equal(dark_kinds[kinds > 0], kinds[kinds > 0])
    inside = (images > 0.05) & (images < 0.95)
    assert torch.allclose(dark[inside], 1 - images[inside], atol=1e-3)


def test_a_training_starts_from_another(cohort: Path, tmp_path: Path) -> None:
    first = run_training(SMALL_FINDER, cohort, tmp_path / "first")
    assert first["epoch"] >= 0
    weights = load_run(tmp_path / "first").state_dict()
    task = FinderTask(replace(SMALL_FINDER, seed=5, init=str(tmp_path / "first")), cohort)
    assert all(torch.equal(value, weights[name]) for name, value in task.network.state_dict().items())
    with pytest.raises(UsageError, match="another shape"):
        FinderTask(replace(SMALL_FINDER, channels=(16, 16, 16, 16, 32), init=str(tmp_path / "first")), cohort)
    with pytest.raises(UsageError, match="nowhere: no such folder; a run folder is what"):
        FinderTask(replace(SMALL_FINDER, init=str(tmp_path / "nowhere")), cohort)


def test_validation_names_each_kind_and_both_errors(cohort: Path) -> None:
    task = FinderTask(SMALL_FINDER, cohort)
    with torch.no_grad():
        metrics, again = (task.validate(task.network.eval()) for _ in range(2))
    assert metrics == again
    for name in ("survey", "closeup", "varied"):
        assert {f"val_{name}_{key}" for key in ("median_mm", "p95_mm", "near", "intact_right", "found")} <= set(metrics)


def test_views_are_drawn_in_float32_within_autocast(cohort: Path) -> None:
    task = FinderTask(replace(SMALL_FINDER, batch=2), cohort)
    for seed in range(8):  # one batch in four has its blocks coded, by matrix products that autocast would round
        with torch.autocast("cpu", torch.bfloat16):
            loss, logs = task.loss(np.random.default_rng(seed), 0, 0)
        assert loss.isfinite()
        assert logs["place"] >= 0
