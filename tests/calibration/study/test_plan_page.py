"""The page of a plan, and its words."""

from dataclasses import replace
from pathlib import Path

from calibration.study.aims import FORMS, aims
from calibration.study.plan_page import said, words, write_page
from calibration.study.sizes import planned
from calibration.validate.reporting_items import ITEMS
from tests.calibration.study.plans import draft, plan
from tests.calibration.study.test_assumptions import KNOWN


def test_every_aim_has_words() -> None:
    found = {words(one) for text in FORMS.values() for one in aims(text)}
    assert len(found) == 14


def test_the_page_says_all_that_is_laid_down_and_is_the_same_each_time(tmp_path: Path) -> None:
    sizes = [*aims("rmse_gcm2<=0.07"), *aims("sensitivity=0.90+-0.1"), *aims("auroc>=age-0.05")]
    sizes = planned(sizes, KNOWN, {"men": 0.2})
    known = {"left_out": 0.15, "source": "a guess", "guessed": ["hip_r"]}
    made = plan(of=draft() | {"sizes": sizes, "assumptions": known}, days=33, exclusions=("frogs & toads",))
    for name in ("a", "b"):
        write_page(tmp_path / name, made)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    page = (tmp_path / "a").read_text()
    for text in (made.digest, made.bundle_digest, "frogs &amp; toads", "33 at most", "Horizon", "men: ", "(primary)",
                 f"<b>{made.enrolled}</b>", "low suspected at an estimated T &lt;= -2.60", "Signature",
                 "What is done if it is missed, or not shown", "none named", "lowest of both sites",
                 "for sensitivity low is low suspected or DXA advised; for specificity low is low suspected",
                 "0.9 of those with one come to 0.77 of all", f'plan <span class="mono">{made.digest[:16]}</span>',
                 "Expected AUROC: films 0.",
                 "a guess"):  # fmt: skip
        assert text in page, text
    write_page(tmp_path / "c", replace(made, refusals="left_out"))
    assert "come to 0.77 of all" not in (tmp_path / "c").read_text()
    asked = [one.topic for one in ITEMS if one.answer is None]
    assert len(asked) > 10
    assert all(one.replace("'", "&#39;") in page for one in asked)
    assert all(one.topic not in page for one in ITEMS if one.answer)


def test_the_terminal_gets_sizes_smaller_studies_and_assumptions() -> None:
    sizes = planned(aims("auroc>=ost-0.05"), KNOWN, {"men": 0.2})
    lines = list(said(draft() | {"sizes": sizes}))
    assert lines[0].startswith(f"Enroll {sizes['enrolled']} subjects")
    assert any(line.startswith("men, ") for line in lines)
    assert any(line.startswith("Expected AUROC: films 0.") and "OST 0." in line for line in lines)
    assert "  hips with both numbers per subject (hips): 1.5" in lines


def test_terminal_and_page_say_what_other_errors_would_need(tmp_path: Path) -> None:
    wanted = [*aims("rmse_gcm2<=0.07"), *aims("coverage=0.85..0.95")]
    wide = replace(KNOWN, rmse_gcm2=dict.fromkeys(KNOWN.rmse_gcm2, 0.1), coverage=0.91, source="errors of X; a guess")
    sizes = planned(wanted, KNOWN, {}, other=wide)
    lines = list(said(draft() | {"sizes": sizes}))
    errors = "With errors of X: RMSE femoral neck 0.1, total hip 0.1 g/cm2, 0.91 inside the 90 % interval."
    start = lines.index("If your films are read worse, each aim would need:")
    assert " ".join(line.strip() for line in lines[start + 1 : start + 3]) == errors
    assert "  total_hip.rmse_gcm2<=0.07: no study of 20,000 subjects shows it" in lines
    needed = sizes["otherwise"]["aims"][2]
    last = f"{needed['subjects']} with both numbers, {needed['enrolled']} to enroll"
    assert f"  femoral_neck.coverage=0.85..0.95: {last}" in lines
    write_page(tmp_path / "plan.html", plan(of=draft() | {"sizes": sizes}))
    page = (tmp_path / "plan.html").read_text()
    assert errors in page
    assert last in page


def test_worse_errors_take_the_expected_sensitivity_for_granted() -> None:
    wide = replace(KNOWN, rmse_gcm2=dict.fromkeys(KNOWN.rmse_gcm2, 0.1))
    sizes = planned(aims("sensitivity=0.9+-0.1"), KNOWN, {}, other=wide)
    text = " ".join(line.strip() for line in said(draft() | {"sizes": sizes}))
    assert "Sensitivity 0.9: taken for granted here, too" in text
    sizes = planned(aims("total_hip.rmse_gcm2<=0.2"), KNOWN, {}, other=wide)
    assert not any("taken for granted here" in line for line in said(draft() | {"sizes": sizes}))


def test_plus_minus_is_how_well_a_figure_is_known_and_nothing_else() -> None:
    for form in FORMS.values():
        for one in aims(form):
            assert ("+-" in words(one)) == ("is known to +-" in words(one)) == ("+-" in one.text)
