"""A site recalibrates with films that it has DEXA of, and undoes it."""

from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.manifest import ModelFacts
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import TableError, UsageError
from bmd_edge.measure.recalibration import SCHEMA, RecalibrationFile
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table, write_table
from calibration.fit import recalibration as workshop
from calibration.fit.words import said
from calibration.pairs.answers import FilmAnswers
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, hip_dicom


def steep() -> FunctionEngine:
    """The drawn network, sixty times as sensitive to the gray of the bone."""
    plain = drawn_bmd()

    def run(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with plain:
            found = plain.run(feeds)
        return {**found, "bmd": (0.7 + 60 * (found["bmd"] - (0.6625, 0.7425))).astype(np.float32)}

    return FunctionEngine(run, plain.inputs, plain.outputs)


def steep_screener(**settings: object) -> Screener:
    return Screener(drawn_bundle(), engines={"finder": drawn_finder(), "bmd": steep()}, **settings)


def one_precision() -> VerifiedBundle:
    bundle = drawn_bundle()
    models = {"bmd": ModelFacts(files={"fp32": "bmd.onnx"}, inputs={}, outputs={}, golden_tolerance={})}
    return replace(bundle, manifest=replace(bundle.manifest, models=models))


def films(folder: Path, n: int, scale: str = "hologic", bias: float = 0.04) -> Path:
    """Films whose DEXA lies `bias` above what the drawn network says; one of them shows an implant."""
    rng, rows = np.random.default_rng(0), []
    folder.mkdir()
    with steep_screener() as screener:
        for k in range(n):
            film = hip_dicom("R", bone=1900 + 30 * k, implant="R" if k == 3 else "", PatientID=f"P{k}")
            (folder / f"{k:02}.dcm").write_bytes(film)
            hip = screener.read(film).hips[0]
            said = {one.site: one.bmd_gcm2 for one in hip.estimates} or dict.fromkeys(SITES, 0.7)
            dexa = {site: round(value + bias + rng.normal(0, 0.01), 4) for site, value in said.items()}
            rows.append(HipRow(film=f"{k:02}.dcm", subject=f"P{k}", side="R", split="calibrate", bmd_gcm2=dexa,
                               scale=scale))  # fmt: skip
    write_table(folder / "films.csv", rows)
    return folder / "films.csv"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(bundle: Path, films: dict[str, Path], *_: object) -> tuple[list[FilmAnswers], str]:
        with steep_screener() as screener:
            reports = {name: screener.read(path, name) for name, path in films.items() if path.is_file()}
        return [FilmAnswers(name, one.film_id, {"fp32": one}) for name, one in reports.items()], "function"

    monkeypatch.setattr(workshop, "read_films", read)


@pytest.mark.usefixtures("drawn")
def test_another_scale_is_converted_and_named(tmp_path: Path) -> None:
    found = workshop.calibrate(one_precision(), films(tmp_path / "films", 34, scale="lunar", bias=0.15))
    assert found.file.scales == {"lunar": 34}
    # Lunar reads about 0.15 g/cm2 above Hologic at the neck, so nothing much is left to correct
    assert abs(found.file.precisions["fp32"]["femoral_neck"].shift_gcm2) < 0.04


@pytest.mark.usefixtures("drawn")
def test_too_few_films_are_said(tmp_path: Path) -> None:
    table = films(tmp_path / "few", 11)
    with pytest.raises(TableError, match="11 subjects with DEXA in the split calibrate, 30 with film and DEXA"):
        workshop.calibrate(one_precision(), table)  # before a film is read
    table = films(tmp_path / "films", 30)
    said = r"femoral neck: 29 subjects .* 30 are the least.*hips without a number: 1 implant \(The hip holds an implant"
    with pytest.raises(UsageError, match=said):
        workshop.calibrate(one_precision(), table)


@pytest.mark.usefixtures("drawn")
def test_what_the_table_shows_to_be_wrong_is_refused_said_or_left_out(tmp_path: Path) -> None:
    table = films(tmp_path / "films", 34)
    rows = read_table(table)
    day = date(2024, 1, 1)
    rows[0] = replace(rows[0], film_date=day, dxa_date=day + timedelta(days=900))
    (tmp_path / "films" / "again.dcm").write_bytes((tmp_path / "films" / "10.dcm").read_bytes())
    write_table(table, [*rows, replace(rows[10], film="again.dcm")])
    found = workshop.calibrate(one_precision(), table)
    assert {"dates_apart", "duplicate_film"} <= {finding.code for finding in found.findings}
    assert found.file.precisions["fp32"]["total_hip"].hips == 33  # one shows an implant, one counts once

    swapped = [replace(row, bmd_gcm2={"femoral_neck": 0.9, "total_hip": 0.7}) for row in rows]
    write_table(table, swapped)
    with pytest.raises(
        TableError, match=r"films\.csv: The columns bmd_femoral_neck_gcm2 and bmd_total_hip_gcm2 look exch"
    ):
        workshop.calibrate(one_precision(), table)


def test_a_missing_film_is_said(tmp_path: Path) -> None:
    table = films(tmp_path / "films", 30)
    (tmp_path / "films" / "01.dcm").unlink()
    with pytest.raises(UsageError, match=r"no such film: 01\.dcm"):
        workshop.calibrate(one_precision(), table)


@pytest.mark.usefixtures("drawn")
def test_a_clinic_recalibrates_with_its_films_and_undoes_it(tmp_path: Path) -> None:
    bundle, table = one_precision(), films(tmp_path / "films", 34)
    found = workshop.calibrate(bundle, table)
    workshop.write_recalibration(tmp_path / "recalibration.json", found.file)
    assert found.left_out == {"implant": 1}
    assert found.file.scales == {"hologic": 34}
    assert found.file.operating_points == {"fp32": None}  # no age, no sex, nobody with low BMD
    assert any(line.startswith("headline, fp32: none; its cuts take 30 subjects") for line in said(found))
    lines = found.file.precisions["fp32"]
    assert {line.subjects for line in lines.values()} == {33}
    for line in lines.values():
        assert line.shift_gcm2 == pytest.approx(0.04, abs=0.02)
    film = (tmp_path / "films" / "10.dcm").read_bytes()
    with steep_screener() as plain, steep_screener(recalibration=tmp_path / "recalibration.json") as local:
        before, after = plain.read(film), local.read(film)
    for old, new in zip(before.hips[0].estimates, after.hips[0].estimates, strict=True):
        assert new.bmd_gcm2 - old.bmd_gcm2 == pytest.approx(0.04, abs=0.01)
    again = workshop.calibrate(bundle, table)
    workshop.write_recalibration(tmp_path / "again.json", again.file)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "recalibration.json").read_bytes()


def test_a_recalibration_takes_the_place_of_none_but_itself(tmp_path: Path) -> None:
    bundle, table, out = one_precision(), tmp_path / "films.csv", tmp_path / "recalibration.json"
    table.write_text("film,subject\n")
    workshop.check_file(out, bundle, table)
    digest = sha256(table.read_bytes()).hexdigest()
    file = RecalibrationFile(SCHEMA, bundle.digest, digest, {"hologic": 40}, {}, {})
    workshop.write_recalibration(out, file)
    workshop.check_file(out, bundle, table)
    workshop.write_recalibration(out, replace(file, bundle_digest="0" * 64))
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    for taken in (out, other, table, tmp_path):
        with pytest.raises(UsageError, match="which would be lost: give another --out"):
            workshop.check_file(taken, bundle, table)
    table.write_text("film,subject,side\n")
    workshop.write_recalibration(out, file)
    with pytest.raises(UsageError, match="of another bundle or table"):
        workshop.check_file(out, bundle, table)
