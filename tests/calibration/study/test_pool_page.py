"""The page of pooled clinics, and the whole way from validations to it."""

import json
from pathlib import Path

import pytest

from bmd_edge.table.film_table import read_table
from calibration.study.pool import pooled
from calibration.study.pool_page import name_of, said, write_pool
from calibration.study.summary import summarize, write_summary
from tests.calibration.study.plans import validation
from tests.calibration.study.test_commands import run
from tests.calibration.study.test_pool import clinics


def test_clinics_are_pooled_from_their_validations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = []
    for subjects in (60, 75, 90):
        folder = tmp_path / str(subjects)
        folder.mkdir()
        made, table = validation(folder, subjects=subjects)
        found = summarize(made, read_table(table), release_table=False, ledger=folder / "ledger.json")
        names.append(tmp_path / f"clinic of {subjects}.json")
        write_summary(names[-1], found)
    assert run(monkeypatch, "study", "pool", *names, "--out", tmp_path / "P") == 0
    output = capsys.readouterr()
    assert output.out.startswith("3 clinics, bundle")
    assert "note: The clinics followed no plan" in output.err
    facts = json.loads((tmp_path / "P" / "pool.json").read_text())
    assert facts["figures"]["total_hip.rmse_gcm2"]["pooled"]["random"]["value"] == pytest.approx(0.055, abs=0.02)
    page = (tmp_path / "P" / "pool.html").read_text()
    for text in ("clinic of 75", "Hartung-Knapp", "forest plot", "Femoral neck: bias", "no value of a patient"):
        assert text in page
    assert "S001" not in page
    assert run(monkeypatch, "study", "pool", names[0], names[0]) == 2
    assert "two summaries have one name" in capsys.readouterr().err
    assert run(monkeypatch, "study", "pool", names[0], tmp_path / "75" / "films.csv") == 2
    assert "films.csv is a film table" in capsys.readouterr().err


def test_the_same_summaries_give_the_same_bytes_and_names_cannot_break_the_page(tmp_path: Path) -> None:
    named = clinics([0.01, 0.02])
    named["<b>St. Mary"] = named.pop("c1")
    facts = pooled(named)
    for name in "ab":
        write_pool(tmp_path / name, facts)
    for file in ("pool.html", "pool.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert "<b>St. Mary" not in (tmp_path / "a" / "pool.html").read_text()
    assert any("a new clinic -; I2 " in line for line in said(facts))
    assert name_of("auroc") == "AUROC, T ≤ −2.5, by film"
