"""What rows alone show to be wrong with their DEXA; sound tables, of whatever people, show nothing."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import STANDARDIZED, to_hologic
from bmd_edge.table.film_table import SCALES, HipRow
from calibration.pairs.dexa_checks import dexa_findings, named_rows, refuse_errors


def from_hologic(value: float, site: str, scale: str) -> float:
    """The inverse of `to_hologic`, by its line: value = (a + b x of the scale)."""
    zero, one = to_hologic(0.0, site, scale), to_hologic(1.0, site, scale)
    return value if scale == "hologic" else (value - zero) / (one - zero)


def clinic(
    n: int = 120, neck: float = 0.71, higher: float = 0.13, age: float = 68, scale: str = "hologic", seed: int = 0
) -> list[HipRow]:
    """Hips: femoral neck around `neck`, total hip `higher` above it on the Hologic scale, told in `scale`."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        low = rng.normal(neck, 0.13)
        values = (low, low + rng.normal(higher, 0.045))
        bmd = {site: round(from_hologic(value, site, scale), 3) for site, value in zip(SITES, values, strict=True)}
        rows.append(
            HipRow(
                film=f"{k}.dcm", subject=f"S{k}", side="R", split="test", age_years=age + rng.normal(0, 8), sex="F",
                bmd_gcm2=bmd, scale=scale, maker="AB"[k % 2], table_row=k + 2,
            )
        )  # fmt: skip
    return rows


def exchanged(row: HipRow) -> HipRow:
    return replace(row, bmd_gcm2=dict(zip(SITES, reversed(row.bmd_gcm2.values()), strict=True)))


def codes(rows: list[HipRow]) -> dict[str, str]:
    return {finding.code: finding.severity for finding in dexa_findings(rows) if finding.severity != "note"}


def test_exchanged_columns_name_columns_rows_and_remedy_and_are_refused() -> None:
    rows = [exchanged(row) for row in clinic(54)]
    finding = next(one for one in dexa_findings(rows) if one.code == "sites_exchanged")
    for said in ("bmd_femoral_neck_gcm2", "bmd_total_hip_gcm2", "rows 2, 3, 4, 5, 6 and", "Exchange them"):
        assert said in finding.sentence
    with pytest.raises(TableError, match=r"^films\.csv: The columns bmd_femoral_neck_gcm2"):
        refuse_errors("films.csv", dexa_findings(rows))


@pytest.mark.parametrize("scale", SCALES)
def test_they_are_seen_on_every_scale(scale: str) -> None:
    """As scanners of other makers tell them, the two sites lie closer together: said, and left to the reader."""
    severity = codes([exchanged(row) for row in clinic(40, scale=scale)])["sites_exchanged"]
    assert severity == ("error" if scale == "hologic" else "warning")


def test_one_export_of_several_is_exchanged() -> None:
    rows = clinic(300)
    for part, chosen in {
        "maker C": lambda k: k < 8, "split val": lambda k: k < 8, "scale lunar": lambda k: k < 8,
    }.items():  # fmt: skip
        column, value = part.split()
        mixed = [replace(exchanged(row), **{column: value}) if chosen(k) else row for k, row in enumerate(rows)]
        if column == "scale":
            lunar = clinic(8, scale="lunar")
            mixed[:8] = [exchanged(row) for row in lunar]
        found = next(one for one in dexa_findings(mixed) if one.code == "sites_exchanged")
        assert f"hips of {part}" in found.sentence


def test_single_rows_are_said_and_left_to_the_reader() -> None:
    rows = clinic(60)
    rows[9] = replace(rows[9], bmd_gcm2={"femoral_neck": 0.71, "total_hip": 0.70})  # one hip in fifty is like this
    assert not dexa_findings(rows)
    rows[17] = exchanged(rows[17])
    (finding,) = dexa_findings(rows)
    assert (finding.code, finding.severity) == ("neck_above_hip", "note")
    assert "row 19" in finding.sentence
    for k in range(20, 30):
        rows[k] = exchanged(rows[k])
    assert codes(rows) == {"neck_above_hip": "warning"}
    assert dexa_findings([exchanged(rows[0])])[0].severity == "note"  # one row proves nothing


@pytest.mark.parametrize("truly", SCALES)
@pytest.mark.parametrize("named", SCALES)
def test_a_scale_under_another_name_is_said(named: str, truly: str) -> None:
    found = codes([replace(row, scale=named) for row in clinic(scale=truly)])
    if {named, truly} == {"hologic", "lunar"} or {named, truly} == {"hologic", "norland"}:
        assert found["scale_misnamed"] == "error"
    if named == truly:
        assert not found


def test_it_says_which_scale_fits() -> None:
    rows = [replace(row, scale="hologic") for row in clinic(scale="lunar")]
    finding = next(one for one in dexa_findings(rows) if one.code == "scale_misnamed")
    for said in ("named hologic", "column scale", "rows 2, 3", "fits lunar better"):
        assert said in finding.sentence or "fits norland better" in finding.sentence
    assert "scale_misnamed" not in codes(rows[:19])  # too few to tell


@pytest.mark.parametrize(
    ("neck", "higher", "age"),
    [(0.55, 0.12, 76), (0.86, 0.085, 27), (0.92, 0.18, 58), (0.62, 0.10, 72), (0.80, 0.17, 66), (0.70, 0.13, 45)],
)
@pytest.mark.parametrize("scale", SCALES)
def test_other_people_are_no_other_scale(neck: float, higher: float, age: float, scale: str) -> None:
    """Osteoporotic women, young women, heavy men, small women, men, and the thin."""
    assert "scale_misnamed" not in codes(clinic(200, neck, higher, age, scale))


def test_one_site_in_both_columns_is_refused() -> None:
    rows = [replace(row, bmd_gcm2=dict.fromkeys(SITES, row.bmd_gcm2["total_hip"])) for row in clinic(12)]
    finding = next(one for one in dexa_findings(rows) if one.code == "sites_copied")
    assert (finding.severity, "rows 2, 3, 4, 5, 6 and 7 more" in finding.sentence) == ("error", True)
    assert "sites_copied" not in codes([*rows[:4], *clinic(8)[4:]])


def test_dates_apart_name_rows_columns_and_remedy() -> None:
    rows, day = clinic(20), date(2024, 1, 1)
    rows[3] = replace(rows[3], film_date=day, dxa_date=day + timedelta(days=366))
    rows[5] = replace(rows[5], film_date=day, dxa_date=day - timedelta(days=900))
    rows[6] = replace(rows[6], film_date=day, dxa_date=day + timedelta(days=365))
    (finding,) = dexa_findings(rows)
    assert (finding.code, finding.hips) == ("dates_apart", 2)
    for said in ("rows 5 and 7", "film_date", "dxa_date", "leave these rows out"):
        assert said in finding.sentence


def test_rows_without_dexa_say_nothing() -> None:
    assert not dexa_findings([replace(row, bmd_gcm2=dict.fromkeys(SITES), scale=None) for row in clinic(30)])
    assert not dexa_findings([replace(row, bmd_gcm2={"femoral_neck": 0.9, "total_hip": None}) for row in clinic(30)])


def test_rows_are_named_in_words() -> None:
    rows = clinic(9)
    assert [named_rows(rows[:n]) for n in (1, 2, 6)] == ["row 2", "rows 2 and 3", "rows 2, 3, 4, 5, 6 and 1 more"]
    assert named_rows([replace(rows[0], table_row=0)]) == "row 0.dcm"
    assert set(STANDARDIZED) == set(SCALES)
