"""From aims to subjects."""

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from calibration.study.aims import FORMS, aims
from calibration.study.assumptions import assumed
from calibration.study.power import power, with_margin
from calibration.study.sizes import enrolled, planned, shown_by, size, smallest
from tests.calibration.study.test_assumptions import KNOWN

NECK = "femoral_neck"


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
    ("aim", "given", "said", "shown", "names"),
    [
        ("rmse_gcm2<=0.05", "hips=1", "an RMSE of 0.06 g/cm2", "neck.rmse_gcm2<=0.06", [f"rmse_gcm2.{NECK}"]),
        ("bias_gcm2<=0.02", "bias_gcm2=-0.03", "a bias of -0.03 and", "neck.bias_gcm2<=0.03",
         [f"bias_gcm2.{NECK}", f"rmse_gcm2.{NECK}"]),
        ("loa_gcm2=+-0.0001", "hips=1", "an RMSE of 0.06 g/cm2", "neck.loa_gcm2=+-0.00", [f"rmse_gcm2.{NECK}"]),
        ("coverage=0.85..0.95", "coverage=0.99", "covers 0.99", "0.85 or more is coverage=0.85..1", ["coverage"]),
        ("coverage=0.85..1", "coverage=0.7", "covers 0.7", "no margin of it", ["coverage"]),
        ("sensitivity=0.90+-0.02", "prevalence=0.001", "a prevalence of 0.001", "no margin of it", ["prevalence"]),
        ("sensitivity=0.90+-0.001", "hips=1", "a prevalence of 0.2", "sensitivity=0.9+-0.0", ["prevalence"]),
        ("int8_rmse_change<=0.0001", "int8_sd_gcm2=0.01", "fp32 of 0.01", "_change<=0.0", ["int8_sd_gcm2"]),
        ("auroc>=ost-0.01", "r_ost=0.999", "for films and 1.00 for OST", "auroc>=ost-0.0",
         ["rmse_gcm2", "r_ost", "prevalence"]),
    ],
)  # fmt: skip
def test_what_is_out_of_reach_says_why_what_is_not_and_which_name_to_give(
    aim: str, given: str, said: str, shown: str, names: list[str]
) -> None:
    known = assumed(KNOWN, [given])
    with pytest.raises(UsageError) as found:
        planned([*aims("auroc>=age-0.05"), *aims(aim)], known, {})
    text = str(found.value)
    assert said in text
    assert shown in text
    assert text.endswith("if you know better: " + " or ".join(f"--assume {name}=VALUE" for name in names))
    for name in names:
        assumed(known, [f"{name}={getattr(known, name) if '.' not in name and name != 'rmse_gcm2' else 0.05}"])


def test_the_limit_that_is_named_is_shown_by_as_many_as_it_says() -> None:
    with pytest.raises(UsageError, match=r"1,000 subjects with both numbers would show (\S+);") as found:
        planned(aims("total_hip.rmse_gcm2<=0.05"), KNOWN, {})
    (aim,) = aims(str(found.value).partition("would show ")[2].partition(";")[0])
    assert size(aim, KNOWN).subjects <= 1000


def test_nothing_is_sized_before_the_last_aim_is_found_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("calibration.study.sizes.smallest", lambda *_: asked.append(1))
    with pytest.raises(UsageError, match="no study of"):
        planned([*aims("sensitivity=0.90+-0.01"), *aims("rmse_gcm2<=0.05")], KNOWN, {})
    assert asked == []


def test_a_plan_needs_an_aim() -> None:
    with pytest.raises(UsageError, match="plan needs --aim"):
        planned([], KNOWN, {})


def test_what_other_errors_would_need_is_said_beside() -> None:
    wanted = [*aims("rmse_gcm2<=0.07"), *aims("sensitivity=0.90+-0.1")]
    other = assumed(KNOWN, ["rmse_gcm2.total_hip=0.065", "rmse_gcm2.femoral_neck=0.08", "coverage=0.8"])
    found = planned(wanted, KNOWN, {}, other=other)["otherwise"]
    assert found["aims"][0] == {"aim": "femoral_neck.rmse_gcm2<=0.07", "subjects": None, "enrolled": None}
    assert found["aims"][1]["subjects"] == size(wanted[1], other).subjects
    assert found["aims"][2]["subjects"] == size(wanted[2], KNOWN).subjects  # knows nothing of errors
    assert planned(wanted, KNOWN, {})["otherwise"] is None
    assert planned(wanted, KNOWN, {}, other=assumed(KNOWN, ["prevalence=0.3"]))["otherwise"] is None
