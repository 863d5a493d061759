import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bmd_edge.bundle.manifest import PHANTOM, CalibrationFilms
from bmd_edge.errors import TableError
from bmd_edge.film.film import film_id
from bmd_edge.measure.recalibration import RecalibrationFile
from bmd_edge.table.film_table import HipRow, write_table
from calibration.pairs import learned_from, table_checks
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import pair
from calibration.validate.validate import compare
from tests.support.cohorts import cohort, made_bundle, table_of

NONE = Known()


def examined(rows, films, known=NONE):
    found = table_checks.examine(rows, pair(rows, films), known, "int8")
    return {finding.code: finding for finding in found.findings}, found.left_out


def test_films_and_subjects_that_were_learned_from_are_left_out(tmp_path):
    rows, films = cohort(40)
    (tmp_path / "split.json").write_text(json.dumps({"train": [f"{rows[0].subject.lower()} "], "val": []}))
    known = learned_from.read_known([tmp_path])
    known = known.joined(Known(films=frozenset([films[-1].film_id]), unread=2))
    findings, left_out = examined(rows, films, known)
    assert findings["subject_seen"].hips == sum(row.subject == rows[0].subject for row in rows)
    assert findings["film_seen"].films == (films[-1].film_id,)
    assert findings["known_films_missing"].severity == "note"
    assert films[-1].film in {film for film, _ in left_out}
    made = compare(made_bundle(), table_of(tmp_path, rows), "test", known, films, "cpu")
    used = made.facts["precisions"]["int8"]["sites"]["total_hip"]
    assert used["subjects"] < 40
    assert {one["code"] for one in made.facts["findings"]} >= {"film_seen", "subject_seen"}


def test_films_are_named_in_workers_and_one_whose_read_never_returns_is_unread(tmp_path, monkeypatch):
    """The process that has the table would wait for good."""
    (tmp_path / "a.dcm").write_bytes(b"some film")
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path.name} was read in the owner"))
    row = HipRow(film="a.dcm", film_path=tmp_path / "a.dcm", subject="P1", side="R", split="train")
    assert learned_from.known_rows([row]).films == {film_id(b"some film")}
    monkeypatch.setattr(learned_from.Crew, "film_ids", lambda _, jobs: ((job, None) for job in jobs))
    assert learned_from.known_rows([row]) == Known(frozenset({"P1"}), frozenset(), 1)


def test_a_table_that_was_learned_from_names_its_films_by_their_bytes(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"some film")
    rows = [
        HipRow(film="a.dcm", subject="P1", side="R", split="train"),
        HipRow(film="gone.dcm", subject="P2", side="R", split="calibrate"),
        HipRow(film="b.dcm", subject="P3", side="R", split="test"),
    ]
    write_table(tmp_path / "table.csv", rows)
    known = learned_from.read_known([tmp_path / "table.csv"])
    assert known == Known(frozenset({"P1", "P2"}), frozenset({film_id(b"some film")}), 1)
    with pytest.raises(TableError, match="--known nothing: not there: check its name"):
        learned_from.read_known([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="--known empty: neither a film table nor the folder of a training"):
        learned_from.read_known([tmp_path / "empty"])


def test_a_bundle_knows_the_table_that_it_was_made_with_and_no_other(tmp_path):
    rows, _ = cohort(12)
    bundle, table = made_bundle(), table_of(tmp_path, rows)
    digest = sha256(table.read_bytes()).hexdigest()
    films = CalibrationFilms(digest, "", 1, 1, 1, 1, {}, {}, {})
    manifest = replace(bundle.manifest, provenance=replace(bundle.manifest.provenance, calibration_films=films))

    def codes(manifest, digest, split, named):
        return {one.code: one.severity for one in learned_from.by_bundle(manifest, digest, split, named=named)}

    assert codes(manifest, digest, "calibrate", True) == {"table_of_the_bundle": "error"}
    assert codes(manifest, digest, "test", False) == {}  # its other splits count as learned from
    assert codes(manifest, "another", "test", False) == {"learned_from_not_named": "warning"}
    assert codes(manifest, "another", "test", True) == {}
    phantoms = replace(manifest, validity=replace(manifest.validity, training_data=PHANTOM))
    assert codes(phantoms, digest, "calibrate", False) == {}


def test_a_recalibration_knows_the_table_that_it_was_fitted_on():
    file = RecalibrationFile(2, "", "its own", {}, {}, {})
    (found,) = learned_from.by_recalibration(file, "its own", "calibrate", {"its own"})
    assert (found.code, found.severity) == ("table_of_the_recalibration", "error")
    assert learned_from.by_recalibration(file, "its own", "test", {"its own"}) == []
    (found,) = learned_from.by_recalibration(file, "another", "calibrate", {"another"})
    assert found.code == "recalibration_table_unknown"
