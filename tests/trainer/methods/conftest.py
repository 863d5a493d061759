"""A cohort of which some films have no label."""

from pathlib import Path

import pytest

from tests.trainer.small_trainings import with_unlabelled


@pytest.fixture(scope="module")
def half_labelled(cohort: Path) -> Path:
    """The cohort with a third of the training hips as unlabelled films."""
    return with_unlabelled(cohort, 3, "half_labelled.csv")
