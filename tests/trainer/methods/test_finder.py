from pathlib import Path

import numpy as np

from trainer.methods.finder import FinderTask
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
    still = FinderConfig(batch=24, rotation_deg=0, augment=0, nonsense_share=0, crop_share=0, channels=(16,) * 5)
    images, points, kinds = FinderTask(still, cohort).batch(np.random.default_rng(1))
    heads = [(image[0], point[0]) for image, point, kind in zip(images, points, kinds, strict=True) if kind == 0]
    assert len(heads) > 3
    for image, (x, y) in heads:
        if x.isfinite():
            assert image[int(y), int(x)] > image[image > 0].median()
