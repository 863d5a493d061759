"""Each of this program's files and folders, as its writer writes it, is named wherever another one is wanted."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.setup.init import Wishes, clinic_toml
from bmd_edge.errors import BmdEdgeError
from bmd_edge.follow.repeatability import open_repeatability
from bmd_edge.follow.results_files import reports_in
from bmd_edge.measure.recalibration import open_recalibration
from bmd_edge.screen.run import check_folders, screen_folder
from bmd_edge.system.own_files import OWN, mistaken
from bmd_edge.table.film_table import read_table
from calibration.drift.watch import reports_of
from calibration.pairs.learned_from import read_known
from calibration.pairs.pairs import write_pairs
from calibration.study.assumptions import of_pilot
from calibration.study.frozen import read_draft, read_plan, write_draft, write_plan
from calibration.study.summary import read_summary, summarize, write_summary
from tests.bmd_edge.measure.test_recalibration import recalibration_file
from tests.calibration.study.plans import draft, plan, validation
from tests.support.screening import drawn_bundle, drawn_screener
from trainer.networks.build import check_run
from trainer.run.settings_file import RECIPES, read_config

ROOT = Path(__file__).parents[3]
DATA = ROOT / "bmd_edge" / "data"
WISHES = Wishes(root="/box", ae_title="A", units=(), pacs="", tls="", vlan="", folder="", approval="")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> a file or folder of it; the command's own where one is kept in the repository."""
    folder = tmp_path_factory.mktemp("own")
    made, table = validation(folder, subjects=40)
    write_pairs(folder / "pairs.csv", made.pairs, made.left_out)
    write_summary(
        folder / "summary.json",
        summarize(made, read_table(table), release_table=False, ledger=folder / "ledger.json"),
    )
    write_draft(folder / "draft.json", {name: part for name, part in draft().items() if name != "kind"})
    write_plan(folder / "plan.json", plan())
    with drawn_screener() as screener:
        screen_folder(screener, DATA / "demo" / "right_hip.dcm", folder / "results")
    (folder / "clinic.toml").write_text(clinic_toml(WISHES), encoding="utf-8")
    (folder / "pool.json").write_text(json.dumps({"use": "", "clinics": {}, "figures": {}}))
    run = folder / "run"
    run.mkdir()
    shutil.copy(RECIPES / "mse.toml", run / "config.toml")
    (run / "split.json").write_text("{}")
    return {
        "bundle": DATA / "bundle",
        "bundle_file": DATA / "bundle" / "manifest.json",
        "clinic": folder / "clinic.toml",
        "cohort": table.parent,
        "draft": folder / "draft.json",
        "figures": folder / "pool.json",
        "film": DATA / "demo" / "pelvis.dcm",
        "pairs": folder / "pairs.csv",
        "plan": folder / "plan.json",
        "recalibration": recalibration_file(folder),
        "repeatability": DATA / "repeatability.json",
        "results": folder / "results",
        "results_file": folder / "results" / "results.csv",
        "run": run,
        "settings": RECIPES / "full.toml",
        "summary": folder / "summary.json",
        "table": table,
        "validation": ROOT / "calibration" / "results" / "validation.json",
    }


READERS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "--table": (read_table, {"table"}),
    "--known": (lambda path: read_known([path]), {"table", "run"}),
    "--bundle": (read_bundle, {"bundle"}),
    "--recalibration": (lambda path: open_recalibration(path, drawn_bundle()), {"recalibration"}),
    "--repeatability": (open_repeatability, {"repeatability"}),
    "--plan": (read_plan, {"plan"}),
    "freeze": (read_draft, {"draft"}),
    "pool": (read_summary, {"summary"}),
    "--pilot": (lambda path: of_pilot(path, read_bundle()), {"validation"}),
    "follow": (lambda path: reports_in([path]), {"results"}),
    "drift": (lambda path: reports_of(path, drawn_bundle()), {"results"}),
    "train": (read_config, {"settings"}),
    "export": (check_run, {"run", "bundle"}),
}


def test_every_kind_is_told_by_what_its_writer_writes(own: dict[str, Path]) -> None:
    assert own.keys() == OWN.keys()
    for kind, path in own.items():
        assert mistaken(path, kind) is None, kind
        said = mistaken(path, *(OWN.keys() - {kind})) or ""
        assert said.startswith(f"{path.name} is {OWN[kind].what}; "), kind
        assert OWN[kind].place in said
    for name in ("results.jsonl", "run.json"):
        assert (mistaken(own["results"] / name, "table") or "").startswith(f"{name} is {OWN['results_file'].what}")


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_says_what_was_given_instead_of_its_own(reader: str, own: dict[str, Path]) -> None:
    read, takes = READERS[reader]
    for kind, path in own.items():
        if kind in takes:
            continue
        with pytest.raises(BmdEdgeError) as found:
            read(path)
        assert f"{path.name} is {OWN[kind].what}; " in str(found.value), kind
        assert "Wanted here: " in str(found.value)
        assert "\n" not in str(found.value)


def test_one_film_that_is_none_is_said_before_it_is_screened(own: dict[str, Path], tmp_path: Path) -> None:
    check_folders(own["film"], tmp_path)
    with pytest.raises(BmdEdgeError, match=r"films\.csv is a film table .*Wanted here: a DICOM film"):
        check_folders(own["table"], tmp_path)


NOBODYS = (b"", b"{", b"[]", b"{}", b'{"a": 1}', b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00", b"a,b\n1,2\n")
TOML = (b"x = 1", b"x = " + b"[" * 10_000)


@pytest.mark.parametrize("raw", NOBODYS + TOML, ids=range(11))
def test_of_what_is_nobodys_nothing_is_said(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(raw)
    assert mistaken(tmp_path / "file", "table") is None
    assert mistaken(tmp_path, "table") is None
    assert mistaken(tmp_path / "none", "table") is None


def test_a_pipe_is_not_waited_for_and_a_large_file_not_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    assert mistaken(tmp_path / "pipe", "table") is None
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**12)
    assert mistaken(tmp_path / "large", "table") is None


def test_the_marks_are_those_of_the_recalibration_itself(tmp_path: Path) -> None:
    """A file of an older version lacks a key and is still called what it is by its own reader alone."""
    path = recalibration_file(tmp_path)
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in facts.items() if key != "scales"}))
    with pytest.raises(BmdEdgeError, match="key 'scales' is missing"):
        open_recalibration(path, drawn_bundle())
    assert {one.name for one in dataclasses.fields(plan())} >= {"aims", "enrolled", "screened", "digest"}
