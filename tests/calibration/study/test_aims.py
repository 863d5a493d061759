"""Aims as they are written on the command line."""

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.study.aims import FORMS, OF_SUBJECTS, aims, check_aims


@pytest.mark.parametrize("figure", FORMS)
def test_an_aim_is_read_back_equal_and_stands_for_each_site(figure: str) -> None:
    found = aims(FORMS[figure])
    figure = "sensitivity" if figure == "at_least" else figure
    assert [one.figure for one in found] == [figure] * (1 if figure in OF_SUBJECTS else len(SITES))
    for one in found:
        assert aims(one.text) == [one]


@pytest.mark.parametrize(
    "text",
    ["", "rmse<=0.07", "rmse_gcm2>=0.07", "spine.rmse_gcm2<=0.07", "auroc>=frax-0.05", "rmse_mgcm2<=70",
     "total_hip.sensitivity=0.9+-0.05", "coverage=0.9", "coverage=0.90+-0.05", "bias_gcm2<=0,02", "bias_gcm2<=1e-3"],
)  # fmt: skip
def test_nonsense_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match=r"write one of bias_gcm2<=0\.02"):
        aims(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("rmse<=0.07", "rmse_gcm2"), ("sensitivty=0.9+-0.08", "sensitivity"), ("neck.rmse_gcm2<=0.07", "femoral_neck"),
        ("femoral_neck.rmse<=0.07", "rmse_gcm2"), ("auroc>=aeg-0.05", "age"), ("covrage = 0.85..1", "coverage"),
    ],
)  # fmt: skip
def test_a_misspelled_name_is_answered_with_the_nearest(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"is not one of .* \(did you mean {meant}\?\); write one of bias_gcm2"):
        aims(text)


@pytest.mark.parametrize("text", ["rmse_gcm2>=0.07", "coverage=0.9", "auroc>=age"])
def test_a_name_that_is_right_is_not_called_wrong(text: str) -> None:
    with pytest.raises(UsageError, match=rf"^--aim {text}: write one of"):
        aims(text)


@pytest.mark.parametrize(
    "text",
    ["rmse_gcm2<=70", "sensitivity=90+-8", "sensitivity=1.2+-0.1", "coverage=0.85..1.05", "coverage=0.95..0.85",
     "coverage=85..95", "bias_gcm2<=0", "bias_gcm2<=2", "loa_gcm2=+-0.00001", "int8_rmse_change<=0.00005",
     "sensitivity=0.99999+-0.1", "sensitivity>=95-10", "specificity>=0.1-0.1"],
)  # fmt: skip
def test_wrong_units_are_refused_with_the_right_ones(text: str) -> None:
    with pytest.raises(UsageError, match=r"mg/cm2 divided by 1000\) or shares of 1 \(percent divided by 100"):
        aims(text)


def test_coverage_is_a_range_and_the_sign_of_a_half_width_is_of_nothing_else() -> None:
    (aim,) = aims("total_hip.coverage=.85..1")
    assert (aim.least, aim.most, aim.text) == (0.85, 1.0, "total_hip.coverage=0.85..1")
    assert [figure for figure, form in FORMS.items() if "+-" in form] == ["loa_gcm2", "sensitivity", "specificity"]


def test_a_floor_is_so_far_below_what_is_expected() -> None:
    (aim,) = aims("specificity>=0.90-0.15")
    assert (aim.least, aim.floor, aim.half_width, aim.text) == (0.75, True, False, "specificity>=0.9-0.15")
    assert not aims("specificity=0.90+-0.15")[0].floor


def test_signs_as_they_are_printed_are_read() -> None:
    assert aims("sensitivity = 0.9 ± 0.08") == aims("sensitivity=0.9+-0.08")
    assert aims("auroc ≥ age-0.05") == aims("auroc>=age-0.05")
    assert aims("bias_gcm2≤0.02") == aims("bias_gcm2<=0.02")


def test_what_the_bundle_does_not_have_is_not_aimed_at() -> None:
    wanted = [one for text in FORMS.values() for one in aims(text)]
    check_aims(wanted, headline=True, int8=True)
    for has, said in (
        ({"headline": False, "int8": True}, "no headline"),
        ({"headline": True, "int8": False}, "no INT8"),
    ):
        with pytest.raises(UsageError, match=said):
            check_aims(wanted, **has)
        check_aims(aims("bias_gcm2<=0.02"), **has)
