"""Drift over screening runs: what is counted, what is said to have moved, and how fast planted shifts are seen."""

import json
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.screen.ledger import Ledger
from bmd_edge.table.film_table import HipRow
from calibration.commands import drift
from calibration.drift.studies import Seen
from calibration.drift.watch import charts_over, reference_in, reports_of, sentence, watch
from calibration.drift.watched_features import to_dict
from export.bundle.pack import pack
from export.proofs import drift_delay
from tests.calibration.drift.made_up_studies import REFERENCE, measured, reports, studies
from tests.support.bundles import tiny_parts

assert measured is not None


SHIFTS = {
    "age": (0, 12.0, "age"),
    "size": (2, np.log(1.05), "head to lesser trochanter"),
    "kvp": (3, 10.0, "tube voltage"),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_is_found_and_named(name: str) -> None:
    column, by, said = SHIFTS[name]
    seen = studies(400, 7)
    seen.facts[200:, column] += by
    found = charts_over(REFERENCE, seen, [str(k) for k in range(400)])
    film = found["film"]
    assert film.alarm_at is not None
    assert 200 < film.alarm_at <= 260
    assert film.film_id == str(film.alarm_at - 1)
    assert film.last > film.limit
    assert said in sentence(film.moved[0])
    assert found["embedding"].alarm_at is found["output"].alarm_at is None


def test_in_control_nothing_is_said_to_have_moved() -> None:
    found = charts_over(REFERENCE, studies(1000, 8), [""] * 1000)
    assert all(chart.alarm_at is None and chart.moved == () for chart in found.values())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    folder = tmp_path_factory.mktemp("bundle")
    return pack(folder / "out", replace(tiny_parts(folder, int8=False), drift={"fp32": to_dict(REFERENCE)}))


def run_of(folder: Path, seen: Seen, digest: str) -> Path:
    folder.mkdir()
    with closing(Ledger(folder)) as ledger:
        for report in reports(seen, digest, root=folder.name):
            own = replace(report, film_id=sha256(f"{folder.name}/{report.file}".encode()).hexdigest()[:16])
            ledger.put((report.file or "").encode(), (1, 1, 1), "settings", own, None)
    return folder


def call(*arguments: object):
    app = Typer(pretty_exceptions_enable=False)
    app.command()(drift)
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_runs_are_charted_one_after_the_other(bundle: VerifiedBundle, tmp_path: Path) -> None:
    older_patients = studies(120, 12)
    older_patients.facts[:, 0] += 12
    first = run_of(tmp_path / "first", studies(150, 11), bundle.digest)
    second = run_of(tmp_path / "second", older_patients, bundle.digest)
    calm = call(first, "--bundle", bundle.root)
    assert calm.exit_code == 0, calm.output
    assert calm.output.count("in control") == 4
    found = call(first, second, "--bundle", bundle.root)
    assert found.exit_code == 3, found.output
    assert "DRIFT from study" in found.output
    assert "age 7" in found.output
    facts = json.loads(call(first, second, "--bundle", bundle.root, "--json").stdout)
    assert facts["studies"] == 270
    assert facts["charts"]["film"]["moved"][0]["feature"] == "age"
    assert facts["charts"]["film"]["alarm_at"] > 150


def test_a_clinic_off_the_reference_starts_from_its_own_baseline(bundle: VerifiedBundle, tmp_path: Path) -> None:
    def site(n: int, seed: int) -> Seen:
        made = studies(n, seed)
        made.gray[:, 3] += 0.15  # one machine's processing, 1.5 SD off
        made.facts[:, 3] = np.nan
        return made

    good, later = site(300, 20), site(300, 21)
    later.facts[150:, 2] += np.log(1.06)
    runs = [run_of(tmp_path / name, part, bundle.digest) for name, part in (("good", good), ("later", later))]
    alarm = call(runs[0], "--bundle", bundle.root)
    assert alarm.exit_code == 3
    assert "--baseline RUN, a run of a time known to be good, starts from its own means." in alarm.output
    with pytest.raises(UsageError, match="300 of 300 films of these runs are the baseline's own"):
        watch(reports_of(runs[0], bundle), bundle, reports_of(runs[0], bundle))
    found = json.loads(call(runs[1], "--bundle", bundle.root, "--baseline", runs[0], "--json").stdout)["charts"]
    assert found["image"]["alarm_at"] is None
    assert found["film"]["alarm_at"] > 150
    assert found["film"]["moved"][0]["feature"] == "size"
    few = run_of(tmp_path / "few", site(99, 22), bundle.digest)
    with pytest.raises(UsageError, match="99 studies with a number, 100 are the least"):
        watch(reports_of(runs[1], bundle), bundle, reports_of(few, bundle))


def test_the_delay_is_measured_by_its_own_command(
    bundle: VerifiedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On made-up answers: no bundle as small as this one reads films."""
    rows = [
        HipRow(film=f"{k}.png", subject=f"s{k}", side="R", split="test", extra={"x_condition": ["none", "kvp"][k % 2]})
        for k in range(20)
    ]
    asked = []

    def drawn(_bundle: VerifiedBundle, _precision: str, chosen: list[HipRow]) -> Seen:
        made = studies(400, len(chosen))
        made.facts[:, 3] += 10 * (chosen[0].extra["x_condition"] == "kvp")
        return made

    monkeypatch.setattr(drift_delay, "_seen", drawn)
    monkeypatch.setattr(drift_delay, "rows_named", lambda text: asked.append(text) or rows)
    monkeypatch.setattr(drift_delay, "CONTROL_STUDIES", 100)
    monkeypatch.setattr(drift_delay, "RUNS", 50)
    said: list[str] = []
    out = tmp_path / "drift.json"
    arguments = [bundle.root, "--table", tmp_path / "shifted/films.csv", "--control", "pool/films.csv", "--out", out]
    assert drift_delay.main([str(one) for one in arguments], said.append) == 0
    facts = json.loads(out.read_text())
    assert asked == [f"{tmp_path}/shifted/films.csv:test", "pool/films.csv"]
    assert facts["bundle_digest"] == bundle.digest
    assert facts["command"].startswith("python -m export.proofs.drift_delay ")
    assert "--table shifted/films.csv --control pool/films.csv --out" in facts["command"]
    assert str(tmp_path) not in facts["command"]
    found = facts["precisions"]["fp32"]
    assert set(found["delay_in_studies"]) == {"kvp", "older patients", "kvp, not stated"}
    assert found["delay_in_studies"]["kvp"]["p90"] <= 30
    assert found["in_control"]["simulated_studies"] == 500 * 100
    assert any("kvp" in line for line in said)


def test_a_proof_that_cannot_be_made_says_why_in_one_line() -> None:
    for name in ("drift_delay --table", "intervals --fresh", "recalibration --pool"):
        words = [sys.executable, "-m", *f"export.proofs.{name} nowhere/films.csv --out x.json".split()]
        found = subprocess.run(words, capture_output=True, text=True)
        assert found.returncode == 2, found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_what_cannot_be_charted_says_why(bundle: VerifiedBundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no screening run"):
        reports_of(tmp_path, bundle)
    with pytest.raises(UsageError, match="screened with another bundle"):
        reports_of(run_of(tmp_path / "other", studies(3, 0), "cd" * 32), bundle)
    mine = reports(studies(2, 0), bundle.digest)
    with pytest.raises(UsageError, match="one precision at a time"):
        watch([mine[0], replace(mine[1], precision="int8")], bundle)
    with pytest.raises(UsageError, match="no film of these runs has a number"):
        watch([replace(mine[0], hips=())], bundle)
    with pytest.raises(BundleError, match="holds no drift reference"):
        reference_in(bundle, "int8")


def test_what_an_earlier_bundle_said_of_archived_films_is_no_other_bundles_run(
    bundle: VerifiedBundle, tmp_path: Path
) -> None:
    run = run_of(tmp_path / "run", studies(150, 11), bundle.digest)
    calm = call(run, "--bundle", bundle.root, "--json").stdout
    with closing(Ledger(run)) as ledger:
        keys = ledger.keys()
        (old,) = reports(studies(1, 3), "0" * 64, root="old")
        ledger.put(b"old", (1, 1, 1), "settings", old, None)
        ledger.compare(keys, set())
    assert call(run, "--bundle", bundle.root, "--json").stdout == calm
    with closing(Ledger(run)) as ledger:
        ledger.compare({*keys, b"old"}, {b"old"})
    assert call(run, "--bundle", bundle.root).exception is not None


def test_the_alarm_names_the_film_and_few_studies_are_said(bundle: VerifiedBundle, tmp_path: Path) -> None:
    many, few = studies(300, 30), studies(20, 31)
    many.facts[150:, 2] += np.log(1.06)
    said = call(run_of(tmp_path / "many", many, bundle.digest), "--bundle", bundle.root).stdout
    named, film = re.findall(r"DRIFT from study \d+ \((\S+), film (\S+)\)", said)[0]
    with closing(Ledger(tmp_path / "many", to_read=True)) as ledger:
        assert {report.film_id: report.file for report in ledger.reports()}[film] == named
    assert said.startswith("300 studies\n")
    assert (
        "from 100 on a run may be a --baseline"
        in call(run_of(tmp_path / "few", few, bundle.digest), "--bundle", bundle.root).stdout
    )
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path} holds no screening run")):
        reports_of(tmp_path, bundle)
