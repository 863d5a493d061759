"""From aims to subjects."""

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from calibration.study.aims import FORMS, aims
from calibration.study.assumptions import assumed
from calibration.study.power import power, with_margin
from calibration.study.sizes import enrolled, planned, shown_by, size, smallest
from tests.calibration.study.test_assumptions import KNOWN


@pytest.mark.parametrize("text", ["rmse_gcm2<=0.07", "bias_gcm2<=0.02", "coverage=0.85..0.95", "sensitivity=0.9+-0.1"])
def test_a_size_is_the_smallest_that_is_enough(text: str) -> None:
    aim = aims(text)[0]
    found = size(aim, KNOWN, 0.8)
    assert found.power >= 0.8
    assert min(power(aim, KNOWN, n) for n in range(found.subjects, found.subjects + 6)) >= 0.8
    assert power(aim, KNOWN, found.subjects - 1) < 0.8


def test_a_probability_that_goes_up_and_down_is_followed_to_where_it_stays_up() -> None:
    assert smallest(lambda n: 0.0 if n < 100 or n == 103 else 1.0, 0.9) == 104
    assert smallest(lambda _n: 0.5, 0.9) is None


def test_enough_are_enrolled() -> None:
    n = enrolled(200, KNOWN)
    left = np.random.default_rng(0).binomial(n, 1 - KNOWN.left_out, 20000)
    assert 0.94 < (left >= 200).mean() < 0.99
    assert enrolled(200, assumed(KNOWN, ["left_out=0"])) == 200


def test_second_hips_and_fewer_refusals_make_a_study_smaller() -> None:
    aim = aims("rmse_gcm2<=0.07")[0]
    whole = size(aim, KNOWN).enrolled
    assert size(aim, assumed(KNOWN, ["hips=2"])).enrolled < whole
    assert size(aim, assumed(KNOWN, ["hips=2", "hip_r=0.999"])).subjects == pytest.approx(
        size(aim, KNOWN).subjects, abs=2
    )
    assert size(aim, assumed(KNOWN, ["left_out=0.4"])).enrolled > 1.3 * whole


def test_the_margin_that_a_smaller_study_shows_is_just_shown() -> None:
    for text in ("rmse_gcm2<=0.07", "sensitivity=0.90+-0.08", "auroc>=age-0.05"):
        aim = aims(text)[0]
        margin = shown_by(aim, KNOWN, 150)
        assert power(with_margin(aim, margin), KNOWN, 150) >= 0.9
        assert text.startswith("auroc") or power(with_margin(aim, margin * 0.95), KNOWN, 150) < 0.9
    assert shown_by(aims("auroc>=age-0.05")[0], KNOWN, 20) is None


def test_a_plan_holds_all_aims_at_once() -> None:
    wanted = [*aims("rmse_gcm2<=0.07"), *aims("sensitivity=0.90+-0.1"), *aims("auroc>=ost-0.05")]
    found = planned(wanted, KNOWN, {"men": 0.2})
    assert found["subjects"] == max(one["subjects"] for one in found["aims"])
    assert all(one["power_in_study"] >= 0.895 for one in found["aims"])
    assert found["smaller"][0]["part"] == "25 % of the subjects"
    assert found["subgroups"][0]["subjects"] == round(0.2 * found["subjects"])
    assert found["comparators"]["ost"]["film"] > found["comparators"]["ost"]["comparator"] > 0.6


def test_nothing_is_shown_by_two_people_or_none() -> None:
    wanted = [one for text in FORMS.values() for one in aims(text)]
    known = assumed(KNOWN, ["int8_sd_gcm2=0"])
    found = planned([one for one in wanted if one.figure != "loa_gcm2"], known, {"few": 0.001, "none": 1e-6})
    assert all(one["power"] == 0.0 for part in found["subgroups"] for one in part["shown"])
    assert all(one["margin"] is None for part in found["subgroups"] for one in part["shown"])
    assert all(power(one, known, n) == 0.0 for one in wanted for n in (0, 1, 2))


@pytest.mark.parametrize(
    ("aim", "given", "said"),
    [
        ("rmse_gcm2<=0.05", "hips=1", r"the RMSE is taken as 0\.06 g/cm2"),
        ("bias_gcm2<=0.02", "bias_gcm2=-0.03", r"the bias is taken as -0\.03"),
        ("loa_gcm2=+-0.0001", "hips=1", r"the RMSE is taken as 0\.06 g/cm2"),
        ("coverage=0.90+-0.05", "coverage=0.99", r"taken to cover 0\.99"),
        ("sensitivity=0.90+-0.02", "prevalence=0.001", r"prevalence 0\.001"),
        ("int8_rmse_change<=0.0001", "int8_sd_gcm2=0.01", r"an SD of 0\.01"),
        ("auroc>=ost-0.01", "r_ost=0.999", r"0\.\d\d for films and [01]\.\d\d for OST"),
    ],
)
def test_what_is_out_of_reach_says_why(aim: str, given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as found:
        planned(aims(aim), assumed(KNOWN, [given]), {})
    assert str(found.value).endswith("or correct it with --assume")
    with pytest.raises(UsageError, match="plan needs --aim"):
        planned([], KNOWN, {})
