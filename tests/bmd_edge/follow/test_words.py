"""What is said of a hip: never that it has not changed, and nothing that a technician may take noise for."""

import re
from dataclasses import replace
from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.repeatability import BetweenUnits
from bmd_edge.follow.series import LEFT_OUT, series_of
from bmd_edge.follow.words import CANNOT, CANNOT_BE_SAID, NO_PRECISION, NOT_EXCLUDED, PHANTOM, said, verdict
from bmd_edge.sites import SITES
from tests.bmd_edge.follow.made_up import known, visited

TODAY = date(2026, 1, 1)
FIRST, LOWER, SAME = visited("2020-05-01", 0.8), visited("2024-05-01", 0.68), visited("2024-05-01", 0.79)
CLINIC = known()
OTHER_UNIT = visited("2024-05-01", 0.6, unit_pseudonym="un-b")


def words(*films, of=None):
    return " ".join(line.text for line in lines(*films, of=of))


def lines(*films, of=CLINIC):
    ((one,), _) = series_of(films, TODAY)
    return said(follow(one, of), of)


@pytest.mark.parametrize("of", [known(), known("phantom"), known(slope=(0.8, 0.7, 0.9)), None])
@pytest.mark.parametrize("films", [(FIRST, LOWER), (FIRST, SAME), (FIRST, OTHER_UNIT), (FIRST,)])
def test_nothing_is_ever_called_stable_or_normal(films, of):
    text = words(*films, of=of).lower()
    assert not any(word in text for word in ("stable", "normal", "no change.", "unchanged since", "has not changed"))


def test_a_change_beyond_chance_is_stated_with_its_interval():
    text = words(FIRST, LOWER, of=known())
    change = "lower, beyond chance: −0.120 g/cm², −15\N{NO-BREAK SPACE}%, 95 % interval −0.208 to −0.032:"
    chance = "Differences up to 0.088 g/cm², 11\N{NO-BREAK SPACE}% can arise by chance here."
    possible = f"a smaller or larger true change is possible. {chance}"
    assert f"Femoral neck, 2020-05-01 to 2024-05-01: {change} {possible}" in text
    assert "Up to 5 in 100 unchanged hips are ever told a change. Confirm by DXA." in text
    assert text.count("No rate is given") == 1


def test_a_rate_says_over_how_long_it_is_one_and_why_its_interval_is_narrower():
    text = words(FIRST, visited("2022-05-01", 0.7), LOWER, of=known(slope=(0.8, 0.7, 0.9)))
    rate = text.split("true changes: ")[1]
    assert rate.startswith("−0.037 g/cm² a year over 4.0 years, 95 % interval −0.0")
    assert "of the slope over all 3 visits, and so narrower than that of the change." in rate


def test_what_lies_within_chance_cannot_be_told():
    text = words(FIRST, SAME, of=known())
    assert CANNOT in text
    percent = "−1\N{NO-BREAK SPACE}%"
    assert f"2024-05-01 −0.010 g/cm², {percent} (femoral neck) and −0.010 g/cm², {percent} (total hip). Diff" in text
    each = [f"0.088 g/cm², 11\N{NO-BREAK SPACE}% ({site})" for site in ("femoral neck", "total hip")]
    assert f"Differences up to {' and '.join(each)} can arise by chance here. {NOT_EXCLUDED}" in text
    assert "a year." not in words(FIRST, SAME, of=known(slope=(0.8, 0.7, 0.9))).replace("1 % a year", "")
    missed = (
        "Losses are missed here, large ones too: one of 1 % a year is told after {} years at the earliest, in every"
    )
    settles = "A next film will hardly settle it: whether DXA is due is decided as without these films."
    assert text.endswith(f"{missed.format(12)} second hip. {settles}")
    for of in (known("phantom"), None):
        assert "Losses are missed" not in words(FIRST, SAME, of=of)
    sites = dict(
        zip(
            SITES,
            (
                replace(known().precisions["int8"][site], rms_sd_high_gcm2=sd)
                for site, sd in zip(SITES, (0.03, 0.02), strict=True)
            ),
            strict=True,
        )
    )
    text = words(FIRST, SAME, of=replace(known(), precisions={"int8": sites}))
    assert missed.format(9) in text
    assert re.search(r"up to 0\.106 g/cm², 13\s% \(femoral neck\) and 0\.071 g/cm², 9\s% \(total hip\) can arise", text)


def test_a_difference_next_to_what_chance_can_do_is_said_to_be_so():
    for gcm2, close in ((0.79, False), (0.73, True)):
        text = words(FIRST, visited("2024-05-01", gcm2), of=known())
        assert CANNOT in text
        assert ("can arise by chance here. One of these is close to that." in text) == close


def test_a_jump_that_is_hardly_bone_may_be_another_person_whoever_measured_the_precision():
    each = [f"−0.300 g/cm², −38\N{NO-BREAK SPACE}% ({site})" for site in ("femoral neck", "total hip")]
    for of in (known(), known("phantom"), None):
        text = words(FIRST, visited("2021-05-01", 0.5), of=of)
        assert text.startswith(
            "First check that the films of 2020-05-01 and 2021-05-01 are of this patient and hip: from one to the other"
            f" the estimates differ by {' and '.join(each)}, more than bone plausibly changes. Until then no change"
            " across them is told; DXA either way."
        )
        assert not any(word in text for word in ("Confirm by DXA", "lower", "beyond", "No rate"))
        slowly = [visited(f"{year}-05-01", 0.8 - 0.03 * (year - 2015)) for year in range(2015, 2025)]
        assert "of this patient" not in words(*slowly, of=of)
    assert "of this patient" not in words(FIRST, visited("2021-05-01", 0.72), of=known(high=0.05))
    films = FIRST, visited("2021-05-01", 0.5)
    assert {line.shown for line in lines(*films)} <= {"", "small"}
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "total_hip") == (
        "differs more than bone plausibly does, first look at the films, whether it changed cannot be said"
    )


def test_whose_films_these_are_in_doubt_no_change_of_either_site_is_told():
    films = visited("2020-05-01", 0.8, 1.2), visited("2021-05-01", 0.5, 1.1)
    text = words(*films, of=known())
    assert "differ by −0.300 g/cm², −38\N{NO-BREAK SPACE}% (femoral neck), more than bone plausibly changes" in text
    assert not any(word in text for word in ("lower", "beyond chance", "No rate"))
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "total_hip") == ("first look at the films, whether it changed cannot be said")


def test_without_a_precision_of_the_clinic_no_change_is_stated():
    assert PHANTOM in (text := words(FIRST, LOWER, of=known("phantom")))
    assert text.startswith("Whether it changed cannot be said")
    assert text == PHANTOM
    assert NOT_EXCLUDED in PHANTOM
    assert NOT_EXCLUDED in NO_PRECISION
    assert "lower" not in text
    assert "g/cm²" not in text
    assert "chance" not in text
    assert words(FIRST, SAME) == NO_PRECISION


def test_a_change_of_unit_is_named_and_not_read_as_loss():
    text = words(FIRST, OTHER_UNIT, of=known())
    assert "Visits B (2024-05-01): another X-ray unit, not compared with visits A." in text
    assert "lower" not in text


def test_a_unit_whose_precision_was_not_measured_is_told_as_the_phantoms_is():
    films = visited("2020-05-01", 0.8, model="Two"), visited("2024-05-01", 0.68, model="Two")
    text = words(*films, of=known())
    assert text.startswith(f"{CANNOT_BE_SAID.capitalize()}: the precision was measured on Drawn One, not on Drawn Two")
    assert NOT_EXCLUDED in text
    assert "g/cm²" not in text
    assert "lower" not in text
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "total_hip").startswith(CANNOT_BE_SAID)
    assert "not on" not in words(FIRST, LOWER, of=known())
    assert "not on" not in words(*films, of=known("phantom"))


def test_a_part_that_goes_on_after_another_is_compared_and_not_called_uncompared():
    other = replace(visited("2022-05-01", 0.7), spacing_source="imager_assumed")
    text = words(FIRST, other, SAME, of=known())
    begun = "Visits B (2022-05-01): another source of the pixel size, not compared with visits A."
    goes_on = "Visits of one letter are compared with each other, also where others lie between them."
    assert text.startswith(f"A: {CANNOT}: 2020-05-01 to 2024-05-01 −0.010")
    assert f"{begun} {goes_on}" in text
    assert text.count("not compared") == 1
    same_days = [replace(one, spacing_source="imager_assumed") for one in (FIRST, SAME)]
    text = words(FIRST, *same_days, SAME, of=known())
    assert "Visits B (2020-05-01 to 2024-05-01): another source" in text
    assert goes_on in text
    assert goes_on not in words(FIRST, OTHER_UNIT, of=known())


def test_a_visit_out_of_line_is_named_and_is_no_change_in_sentence_and_chart():
    films = FIRST, visited("2022-05-01", 0.62, 0.79), SAME
    text = words(*films, of=known())
    out = "−0.180 g/cm², −23\N{NO-BREAK SPACE}% (femoral neck)"
    assert f"2022-05-01 lies outside the band, {out}, and the last visit does not" in text
    assert "one visit out of line does not tell a change" in text
    assert "more than bone plausibly changes" not in text
    ((one,), _) = series_of(films, TODAY)
    assert "2022-05-01 lies outside and the last visit does not" in verdict(follow(one, known()), "femoral_neck")
    assert "2022" not in verdict(follow(one, known()), "total_hip")
    assert "band" not in words(*films, of=known("phantom"))


def test_several_visits_out_of_line_are_no_one_visit_and_the_last_may_be_the_one_that_is():
    films = FIRST, visited("2021-05-01", 0.65), visited("2023-05-01", 0.67, 0.8), SAME
    text = words(*films, of=known())
    outside = "Outside the band lie 2021-05-01, −0.150 g/cm², −19\N{NO-BREAK SPACE}% (femoral neck) and −0.150 g/cm²"
    assert outside in text
    assert "; 2023-05-01, −0.130 g/cm², −16\N{NO-BREAK SPACE}% (femoral neck). The last visit does not: it" in text
    assert "First look at these films and the last; then DXA." in text
    assert "one visit" not in text
    ((one,), _) = series_of(films, TODAY)
    heading = verdict(follow(one, known()), "femoral_neck")
    assert heading.endswith("2021-05-01 and 2023-05-01 lie outside and the last visit does not")
    assert verdict(follow(one, known()), "total_hip").endswith("2021-05-01 lies outside and the last visit does not")


def test_films_of_one_date_that_differ_beyond_chance_are_told_before_the_change_that_hangs_on_them():
    films = FIRST, visited("2024-05-01", 0.79), visited("2024-05-01", 0.57, 0.60)
    first, *rest = lines(*films)
    assert first.text == (
        "The films of 2024-05-01 differ by 0.220 g/cm² (femoral neck) and 0.190 g/cm² (total hip), more than films of"
        " one hip do by chance: one of them is off or shows another hip, and their mean with it. First look at them;"
        " then DXA."
    )
    assert "lower" in rest[0].text
    assert "First look at the films; then DXA." in rest[0].text
    assert {line.label for line in [first, *rest]} == {"UNCLEAR", ""}
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "femoral_neck").endswith("chance, films of one date differ beyond chance")


def test_a_percentage_that_rounds_to_zero_has_no_sign():
    assert "−0.001 g/cm², 0\N{NO-BREAK SPACE}% (femoral neck)" in words(FIRST, visited("2024-05-01", 0.799), of=known())


def test_a_first_visit_that_alone_lies_out_is_no_change_in_sentence_and_chart():
    films = [visited(f"{2019 + 2 * n}-05-01", one, 0.9) for n, one in enumerate((0.95, 0.8, 0.81, 0.81))]
    text = words(*films, of=known())
    size = "−0.143 g/cm², −15\N{NO-BREAK SPACE}%"
    assert text.startswith(f"The first visit, 2019-05-01, is out of line with the 3 after it, which agree: {size}")
    assert "One visit out of line does not tell a change." in text
    assert "First look at that film; then DXA if indicated." in text
    assert not any(word in text for word in (": lower", "Confirm by DXA", "No rate", "plausibly", "do not agree"))
    assert {line.shown for line in lines(*films)} <= {"", "small"}
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "femoral_neck") == (
        "the band does not judge here: the first visit is out of line with the 3 after it, which agree"
    )


@pytest.mark.parametrize(("total", "both"), [(0.85, True), (0.87, False), (1.0, False)])
def test_where_both_sites_step_after_the_first_visit_dxa_is_not_left_to_choice(total, both):
    films = [visited("2019-05-01", 0.95, 0.92), *(visited(f"{year}-05-01", 0.8, total) for year in (2021, 2023, 2025))]
    text = words(*films, of=known())
    assert ("First look at that film; then DXA." in text) == ("This does not exclude a loss: DXA." in text) == both
    assert ("First look at that film; then DXA if indicated." in text) == (NOT_EXCLUDED in text) == (not both)


def test_a_change_only_just_beyond_chance_is_called_so_and_shown_as_less():
    films = FIRST, visited("2024-05-01", 0.70, 0.68)
    assert [(line.label, line.shown) for line in lines(*films)] == [
        ("UNCLEAR", ""), ("LOWER", "stated"), ("", "small"),
    ]  # fmt: skip
    first, second, _ = lines(*films)
    assert (first.bold, second.bold) == ("Only just beyond chance", "")
    assert first.text.startswith(f"{first.bold}. Femoral neck, 2020-05-01 to 2024-05-01: lower: −0.100 g/cm²")
    assert lines(FIRST, visited("2024-05-01", 0.95))[0].label == "HIGHER"
    ((one,), _) = series_of(films, TODAY)
    assert [verdict(follow(one, known()), site) for site in SITES] == [
        "only just beyond chance, lower",
        "lower, beyond chance",
    ]


def test_sites_and_hips_that_do_not_agree_are_told():
    for total, how in (
        (0.95, "goes the other way"),
        (0.81, "is not beyond chance"),
        (0.79, "is not beyond chance"),
        (0.73, ", lower too, is not beyond chance"),
    ):
        how = how if how.startswith(",") else f" {how}"
        films = FIRST, visited("2024-05-01", 0.68, total)
        said_first, *_ = lines(*films)
        assert f"lower, beyond chance, but the total hip{how}: −0.120 g/cm²" in said_first.text
        assert said_first.text.endswith("First look at the films; then DXA.")
        assert said_first.label == "UNCLEAR"
        ((one,), _) = series_of(films, TODAY)
        assert verdict(follow(one, known()), "femoral_neck") == f"lower, beyond chance, but the total hip{how}"
    films = [FIRST, LOWER, visited("2020-05-01", 0.74, side="L"), visited("2025-05-01", 0.76, side="L")]
    left, right = (follow(one, known()) for one in series_of(films, TODAY)[0])
    for one, other in ((left, right), (right, left)):
        (first, *_), heading = said(one, known(), other), verdict(one, "total_hip", other)
        assert first.text.startswith("Left and right may have been exchanged: check the side markers of the films of")
        assert first.text.endswith(
            "differ in opposite directions, one of them within chance (2020-05-01 to 2025-05-01)."
        )
        short = "lower, beyond chance" if one is right else "it cannot be told from chance"
        assert heading == f"left and right may be exchanged; otherwise {short}"
    assert {line.label for line in said(right, known(), left)} == {"UNCLEAR", ""}
    assert "First look at the films; then DXA." in said(right, known(), left)[1].text
    films[3] = visited("2025-05-01", 0.94, side="L")
    for of in (known(), known("phantom")):
        left, right = (follow(one, of) for one in series_of(films, TODAY)[0])
        assert said(right, of, left)[0].text.endswith("in opposite directions (2020-05-01 to 2025-05-01).")


def test_what_a_doctor_reads_names_no_file_option_or_command():
    other = {"model": "Two"}
    for films in (
        (FIRST, LOWER),
        (FIRST, OTHER_UNIT),
        (visited("2020-05-01", 0.8, **other), visited("2024-05-01", 0.6, **other)),
        (FIRST, visited("2021-05-01", 0.3)),
    ):
        for of in (known(), known("phantom"), None):
            assert not any(mark in words(*films, of=of) for mark in ("`", "--", ".json", "bmd-edge"))
    texts = " ".join(sentence + remedy for sentence, remedy in LEFT_OUT.values())
    assert not any(mark in texts for mark in ("`", "--", ".json", "bmd-edge"))


def test_how_units_differ_is_said_from_hips_that_both_have_filmed_and_compares_nothing():
    films = FIRST, visited("2024-05-01", 0.6, unit_pseudonym="un-b", model="Two")
    assert "differ is not known: no hip was filmed by both." in words(*films, of=known())
    assert "both" not in words(*films, of=known("phantom"))
    for units, sign in ((("Drawn One", "Drawn Two"), 1), (("Drawn Two", "Drawn One"), -1)):
        shift, low, high = (
            dict.fromkeys(SITES, sign * value) for value in (0.03, 0.03 - sign * 0.02, 0.03 + sign * 0.02)
        )
        of = replace(known(), between_units={"int8": (BetweenUnits(units, 34, shift, low, high),)})
        text = words(*films, of=of)
        assert (
            "Visits B: of 34 hips filmed by both units, the later unit's estimates differ by +0.030 g/cm², 95 %"
            " interval +0.010 to +0.050 (femoral neck)" in text
        )
        assert "Do not correct this hip by it." in text
        assert ["34 hips" in line.text for line in lines(*films, of=of) if line.label] == [False, False]
        assert "beyond" not in text
        assert "lower" not in text
        ((one,), _) = series_of(films, TODAY)
        assert follow(one, of).changes == ()
    assert "not known" in words(*films, of=replace(of, recalibration="ab"))


def test_each_chart_says_what_it_shows():
    less = visited("2024-05-01", 0.68)
    ((one,), _) = series_of([FIRST, less], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "lower, beyond chance"
    assert verdict(follow(one, known("phantom")), "total_hip") == CANNOT_BE_SAID
    ((one,), _) = series_of([FIRST, SAME], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "cannot be told from chance"
    later = visited("2025-05-01", 0.61, unit_pseudonym="un-b")
    ((one,), _) = series_of([FIRST, visited("2021-05-01", 0.5), OTHER_UNIT, later], TODAY)
    text = verdict(follow(one, known()), "total_hip")
    assert text == (
        "A: differs more than bone plausibly does, first look at the films, whether it changed cannot be said;"
        " B: cannot be told from chance"
    )
    ((one,), _) = series_of([FIRST, OTHER_UNIT, less], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "A: lower, beyond chance; B: one visit only"
    ((one,), _) = series_of([FIRST, OTHER_UNIT], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "no two visits can be compared"
