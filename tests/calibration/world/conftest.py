"""Made-up films of two worlds, scored once."""

import pytest

from tests.calibration.world.test_figures import UNFIT
from tests.calibration.worlds import made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    some = made()
    return some, *some.scored(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    some = made(("intact", *UNFIT, "hidden", "borderline"), seed=3)
    return some, *some.scored(tmp_path_factory.mktemp("real"), "real")
