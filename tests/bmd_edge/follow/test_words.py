"""What is said of a hip: never that it has not changed, and nothing that a technician may take noise for."""

from dataclasses import replace
from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.repeatability import BetweenUnits
from bmd_edge.follow.series import LEFT_OUT, series_of
from bmd_edge.follow.words import CANNOT, CANNOT_BE_SAID, NO_PRECISION, PHANTOM, said, summary, verdict
from bmd_edge.sites import SITES
from tests.bmd_edge.follow.made_up import known, visited

TODAY = date(2026, 1, 1)
FIRST, LOWER, SAME = visited("2020-05-01", 0.8), visited("2024-05-01", 0.6), visited("2024-05-01", 0.79)
OTHER_UNIT = visited("2024-05-01", 0.6, unit_pseudonym="un-b")


def words(*films, of=None):
    ((one,), _) = series_of(films, TODAY)
    return " ".join(line.text for line in said(follow(one, of), of))


@pytest.mark.parametrize("of", [known(), known("phantom"), known(slope=(0.8, 0.7, 0.9)), None])
@pytest.mark.parametrize("films", [(FIRST, LOWER), (FIRST, SAME), (FIRST, OTHER_UNIT), (FIRST,)])
def test_nothing_is_ever_called_stable_or_normal(films, of):
    text = words(*films, of=of).lower()
    assert not any(word in text for word in ("stable", "normal", "no change.", "unchanged since", "has not changed"))


def test_a_change_beyond_chance_is_stated_with_its_interval():
    text = words(FIRST, LOWER, of=known())
    assert "the estimate is lower by 0.200 g/cm² (95 % interval 0.112 to 0.288), beyond chance (0.088): of 100" in text
    assert "of 100 unchanged hips at most 5 ever differ so much, at any visit and either site" in text
    assert "Confirm by DXA." in text
    assert "No rate is given" in text
    assert "(−0.0" in words(FIRST, LOWER, of=known(slope=(0.8, 0.7, 0.9))).split("true changes: ")[1]


def test_what_lies_within_chance_cannot_be_told():
    text = words(FIRST, SAME, of=known())
    assert CANNOT in text
    assert (
        "differ by −0.010 (femoral neck) and −0.010 (total hip), those of 95 of 100 unchanged hips by up to 0.088 g/cm²"
        in text
    )
    assert "a year." not in words(FIRST, SAME, of=known(slope=(0.8, 0.7, 0.9))).replace("1 % a year", "")
    soonest = (
        "At the femoral neck a loss of 1 % a year could be told 12 years after the film of 2020-05-01 at the earliest"
    )
    assert f"{soonest}, and then of every second hip: seeing no change does not exclude such a loss." in text
    assert f"{soonest}, if this clinic were as precise as the phantom, and" in words(FIRST, SAME, of=known("phantom"))
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
    assert "At the total hip a loss" in words(FIRST, SAME, of=replace(known(), precisions={"int8": sites}))


def test_a_jump_that_is_hardly_bone_may_be_another_person_whoever_measured_the_precision():
    for of in (known(), known("phantom"), None):
        text = words(FIRST, visited("2021-05-01", 0.5), of=of)
        assert "2020-05-01 to 2021-05-01 the estimates differ by −0.300 (femoral neck) and −0.300 (total hip)" in text
        assert "more than bone plausibly changes" in text
        assert "another person's hip, or have another cause" in text
        slowly = [visited(f"{year}-05-01", 0.8 - 0.03 * (year - 2015)) for year in range(2015, 2025)]
        assert "another person" not in words(*slowly, of=of)
    assert "another person" not in words(FIRST, visited("2021-05-01", 0.72), of=known(high=0.05))


def test_without_a_precision_of_the_clinic_no_change_is_stated():
    assert PHANTOM in (text := words(FIRST, LOWER, of=known("phantom")))
    assert text.startswith("Whether it changed cannot be said")
    assert "a dot outside it proves nothing either" in text
    assert "lower" not in text
    assert words(FIRST, SAME) == NO_PRECISION


def test_a_change_of_unit_is_named_and_not_read_as_loss():
    text = words(FIRST, OTHER_UNIT, of=known())
    assert text.startswith("Visits B (from 2024-05-01 on): another X-ray unit, not compared with visits A.")
    assert "lower" not in text


def test_a_unit_whose_precision_was_not_measured_is_told_as_the_phantoms_is():
    films = visited("2020-05-01", 0.8, model="Two"), visited("2024-05-01", 0.6, model="Two")
    text = words(*films, of=known())
    assert text.startswith(f"{CANNOT_BE_SAID.capitalize()}: the precision was measured on Drawn One, not on Drawn Two")
    assert "a dot outside it proves nothing either" in text
    assert "if this X-ray unit were as precise as that one" in text
    assert "lower" not in text
    ((one,), _) = series_of(films, TODAY)
    assert verdict(follow(one, known()), "total_hip").startswith(CANNOT_BE_SAID)
    assert "not on" not in words(FIRST, LOWER, of=known())
    assert "not on" not in words(*films, of=known("phantom"))


def test_a_part_that_goes_on_after_another_is_compared_and_not_called_uncompared():
    other = replace(visited("2022-05-01", 0.7), spacing_source="imager_assumed")
    text = words(FIRST, other, SAME, of=known())
    begun = "Visits B (from 2022-05-01 on): another source of the pixel size, not compared with visits A."
    goes_on = "Visits A lie before and after B, and are compared with each other."
    assert text.startswith(f"{begun} {goes_on} A: {CANNOT}. 2020-05-01 to 2024-05-01 the estimates differ by −0.010")
    assert text.count("not compared") == 1


def test_a_visit_out_of_line_is_named_and_is_no_change_in_sentence_and_chart():
    films = FIRST, visited("2022-05-01", 0.62, 0.79), SAME
    for of in (known(), known("phantom")):
        text = words(*films, of=of)
        assert "2022-05-01 lies outside the band, −0.180 (femoral neck) g/cm², and the last visit does not" in text
        assert "one visit out of line is no change" in text
        assert "more than bone plausibly changes" not in text
        ((one,), _) = series_of(films, TODAY)
        assert "2022-05-01 lies outside and the last visit does not" in verdict(follow(one, of), "femoral_neck")
        assert "2022" not in verdict(follow(one, of), "total_hip")


def test_sites_and_hips_that_do_not_agree_are_told():
    assert "The two sites do not agree: the total hip goes the other way (+0.010 g/cm²). Look at the films." in words(
        FIRST, visited("2024-05-01", 0.7, 0.81), of=known()
    )
    assert "the total hip does not bear it out (−0.010 g/cm²)" in words(
        FIRST, visited("2024-05-01", 0.7, 0.79), of=known()
    )
    films = [FIRST, LOWER, visited("2020-05-01", 0.8, side="L"), visited("2025-05-01", 0.81, side="L")]
    left, right = (follow(one, known()) for one in series_of(films, TODAY)[0])
    for one, other, size in ((left, right, "−0.200"), (right, left, "+0.010")):
        last = said(one, known(), other)[-1 if one is left else -2].text
        assert last.startswith(f"The other hip goes the other way: {size} (femoral neck) and {size} (total hip) g/cm²")
        assert "the other hip goes the other way" in verdict(one, "total_hip", other)


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
            "Of 34 hips filmed by both, the later unit's estimates differ by +0.030, +0.010 to +0.050 (femoral" in text
        )
        assert "beyond" not in text
        assert "lower" not in text
        ((one,), _) = series_of(films, TODAY)
        assert follow(one, of).changes == ()
    assert "not known" in words(*films, of=replace(of, recalibration="ab"))


def test_each_chart_says_what_it_shows():
    less = visited("2024-05-01", 0.7)
    ((one,), _) = series_of([FIRST, less], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "lower, beyond chance"
    assert verdict(follow(one, known("phantom")), "total_hip") == CANNOT_BE_SAID
    ((one,), _) = series_of([FIRST, SAME], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "cannot be told from chance"
    later = visited("2025-05-01", 0.61, unit_pseudonym="un-b")
    ((one,), _) = series_of([FIRST, visited("2021-05-01", 0.5), OTHER_UNIT, later], TODAY)
    text = verdict(follow(one, known()), "total_hip")
    assert text == "A: lower, beyond chance, differs more than bone plausibly does; B: cannot be told from chance"
    ((one,), _) = series_of([FIRST, OTHER_UNIT, less], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "A: lower, beyond chance; B: one visit only"
    ((one,), _) = series_of([FIRST, OTHER_UNIT], TODAY)
    assert verdict(follow(one, known()), "total_hip") == "no two visits can be compared"


def test_the_terminal_says_of_every_hip_that_nothing_can_be_said_in_lines_that_fit():
    films = [
        film for side in "RL" for film in (visited("2020-05-01", 0.8, side=side), visited("2024-05-01", 0.7, side=side))
    ]
    series, findings = series_of(films, TODAY)
    hips = [follow(one, known("phantom")) for one in series]
    for width in (60, 80, 120):
        text = "\n".join(summary(hips, 0, findings, known("phantom"), "", 9, width))
        assert text.count("Whether it changed cannot be") == 2
        assert width - 20 < max(map(len, text.splitlines())) <= width
        assert text.count("2020-05-01") == 4


def test_the_terminal_shows_stated_changes_first_and_what_is_missing():
    films = [
        FIRST,
        SAME,
        visited("2020-05-01", 0.8, side="L"),
        visited("2024-05-01", 0.6, side="L"),
        visited(None, 0.5),
    ]
    series, findings = series_of(films, TODAY)
    lines = list(summary([follow(one, known()) for one in series[::-1]], 3, findings, known(), "clinic.json", 1, 110))
    assert lines[0] == "pt-a, left hip: 2 visits, 2020-05-01 to 2024-05-01"
    text = " ".join("\n".join(lines).split())
    assert "Precision: this clinic's, measured on Drawn One (by maker and model): 40 hips with repeated films." in text
    assert "File: clinic.json." in text
    assert "--repeatability" not in text
    assert any("The first 1 hips; all 2" in line for line in lines)
    assert "1 film in no series. The film has no date." in "\n".join(lines)


@pytest.mark.parametrize(("of", "model", "remedy"), [
    (known("phantom"), "One", "give its file with --repeatability"),
    (None, "One", "give its file with --repeatability"),
    (known(), "Two", "measures the precision of further X-ray units"),
])  # fmt: skip
def test_the_terminal_says_once_how_to_measure_what_is_lacking(of, model, remedy):
    films = [visited(taken, 0.8, side=side, model=model) for side in "RL" for taken in ("2020-05-01", "2024-05-01")]
    series, findings = series_of(films, TODAY)
    lines = list(summary([follow(one, of) for one in series], 0, findings, of, "", 9, 200))
    assert sum("`bmd-edge precision`" in line and remedy in line for line in lines) == 1
