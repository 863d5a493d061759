"""Aims as they are written on the command line."""

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.study.aims import FORMS, OF_SUBJECTS, aims


@pytest.mark.parametrize("figure", FORMS)
def test_an_aim_is_read_back_equal_and_stands_for_each_site(figure: str) -> None:
    found = aims(FORMS[figure])
    assert [one.figure for one in found] == [figure] * (1 if figure in OF_SUBJECTS else len(SITES))
    for one in found:
        assert aims(one.text) == [one]


@pytest.mark.parametrize(
    "text",
    ["", "rmse<=0.07", "rmse_gcm2>=0.07", "spine.rmse_gcm2<=0.07", "coverage=0.95+-0.1", "sensitivity=1.2+-0.1",
     "auroc>=frax-0.05",
     "total_hip.sensitivity=0.9+-0.05", "coverage=0.9", "bias_gcm2<=0", "bias_gcm2<=2"],
)  # fmt: skip
def test_nonsense_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match=r"write one of bias_gcm2<=0\.02"):
        aims(text)
