"""Files are written beside their place, synced, and only then renamed; the folder is synced last.

A rename may reach the disk before the data does: after a power cut the file would have its name and be empty.
"""

import ast
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.clinic.config import Box, Config
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import FOLDER, Door, Origin
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.objects.make import Made
from bmd_edge.clinic.reading.reader import Result
from bmd_edge.clinic.reading.work import _kept
from bmd_edge.clinic.setup.init import write_config
from bmd_edge.engine.engine_files import EngineCache, EngineTarget
from bmd_edge.follow.files import write_csv as write_series_csv
from bmd_edge.follow.files import write_json as write_series_json
from bmd_edge.follow.page import write_page as write_series_page
from bmd_edge.measure.recalibration import SCHEMA, RecalibrationFile
from bmd_edge.report.film_report import RunSummary
from bmd_edge.report.pages import write_pages
from bmd_edge.report.results import write_csv, write_jsonl, write_run
from bmd_edge.system.files import copy_file, replace_bytes, replace_file
from bmd_edge.system.patient_key import export_key, import_key
from bmd_edge.table.film_table import HipRow, write_table
from calibration.fit.recalibration import write_recalibration
from calibration.pairs.pairs import write_pairs
from calibration.repeat.precision import write_repeatability
from calibration.study.frozen import write_plan
from calibration.study.plan_page import write_page as write_plan_page
from calibration.study.release import Ledger, Release, record
from calibration.study.summary import write_summary
from export.bundle.pack import pack
from export.servers.written import write_tree
from tests.bmd_edge.follow.made_up import known, visited
from tests.calibration.study.plans import plan
from tests.calibration.study.test_pool import clinic
from tests.support.bundles import tiny_parts
from tests.support.films import dicom_bytes
from tests.support.screening import drawn_screener
from trainer.images.cut_rois import write_left_out
from trainer.paper_table.plot import draw
from trainer.phantom.cohort.make import _claim
from trainer.run.curves import plot_curves
from trainer.run.run_folder import write_tensors

ROOT = Path(__file__).parents[3]
ROW = HipRow(film="a.dcm", subject="S", side="R", split="train")
COUNTS = dict.fromkeys(("read", "refused", "failed", "left_out"), 0)
SUMMARY = RunSummary(1, {"bmd-edge": "0"}, "", "0" * 64, "cpu", "fp32", None, "", COUNTS, COUNTS, {}, {})


def files(folder: Path) -> None:
    with replace_file(folder / "text") as file:
        file.write("text")
    replace_bytes(folder / "bytes", b"bytes")
    copy_file(folder / "bytes", folder / "copy")


def engines(folder: Path) -> None:
    cache, target = EngineCache(folder), EngineTarget("a" * 64, "10.13.2.6", "Test GPU", "8.7", "12.9", "{}")
    cache.write(target, b"engine", {})
    cache.write_timing(target, b"timing")


def results(folder: Path) -> None:
    with drawn_screener() as screener:
        reports = [screener.read(b"no film")]
    write_jsonl(folder / "results.jsonl", reports)
    write_csv(folder / "results.csv", reports)
    write_run(folder / "run.json", SUMMARY)


def followed(folder: Path) -> None:
    write_series_csv(folder / "follow.csv", [], None)
    write_series_json(folder / "follow.json", [], [], None)


def exported(folder: Path) -> Path:
    export_key(folder / "exported", folder / "other.key")
    return folder / "exported"


def bundle(folder: Path) -> VerifiedBundle:
    (folder.parent / "work").mkdir()
    return pack(folder / "bundle", tiny_parts(folder.parent / "work"))


def kept(folder: Path) -> None:
    """A film at the door, with `folder` as the spool."""
    with pytest.MonkeyPatch.context() as patch, Journal(folder.parent) as journal:
        for module in ("doors.door", "journal.films"):
            patch.setattr(f"bmd_edge.clinic.{module}.SPOOL", folder.name)
        box = Config(box=Box(root=str(folder.parent), min_free_mb=1))
        assert Door(box, journal).keep(dicom_bytes(), Origin(FOLDER, FOLDER)) == Status.KEPT


def outgoing(folder: Path) -> None:
    """An object of a film at the door, with `folder` as the outbox too."""
    kept(folder)
    with pytest.MonkeyPatch.context() as patch, Journal(folder.parent) as journal:
        patch.setattr(films, "OUTBOX", folder.name)
        box = Config(box=Box(root=str(folder.parent)))
        film = films.start(journal, "bundle")
        assert film is not None
        result = Result(visited(None, 0.9), made=(Made("sr", "1.2", "1.3", b"object"),))
        assert _kept(box, journal, film, result, 0).size == len(b"object")


WRITERS: dict[str, Callable[[Path], object]] = {
    "bmd_edge/system/files.py": files,
    "bmd_edge/clinic/doors/door.py": kept,
    "bmd_edge/clinic/reading/work.py": outgoing,
    "bmd_edge/clinic/setup/init.py": lambda folder: write_config(folder, 'box = { root = "/r" }\n'),
    "bmd_edge/engine/engine_files.py": engines,
    "bmd_edge/follow/files.py": followed,
    "bmd_edge/follow/page.py": lambda folder: write_series_page(folder / "follow.html", [], [], None, asdict(SUMMARY)),
    "bmd_edge/report/pages.py": lambda folder: write_pages(folder, [], SUMMARY),
    "bmd_edge/report/results.py": results,
    "bmd_edge/system/patient_key.py": lambda folder: import_key(exported(folder.parent), folder / "patient.key"),
    "bmd_edge/table/film_table.py": lambda folder: write_table(folder / "films.csv", [ROW]),
    "calibration/fit/recalibration.py": lambda folder: write_recalibration(
        folder / "site.json", RecalibrationFile(SCHEMA, "0" * 64, "0" * 64, {}, {}, {})
    ),
    "calibration/pairs/pairs.py": lambda folder: write_pairs(folder / "pairs.csv", [], {}),
    "calibration/repeat/precision.py": lambda folder: write_repeatability(folder / "precision.json", known()),
    "calibration/study/frozen.py": lambda folder: write_plan(folder / "plan.json", plan()),
    "calibration/study/release.py": lambda folder: record(Ledger("c", "s"), Release({}, ""), folder / "ledger.json"),
    "calibration/study/summary.py": lambda folder: write_summary(folder / "summary.json", clinic("c", {})),
    "calibration/study/plan_page.py": lambda folder: write_plan_page(folder / "plan.html", plan()),
    "export/bundle/pack.py": bundle,
    "export/servers/written.py": lambda folder: write_tree(folder / "served", {"1/model.onnx": b"x", "config": b"y"}),
    "trainer/images/cut_rois.py": lambda folder: write_left_out(folder / "left_out.csv", []),
    "trainer/paper_table/plot.py": lambda folder: draw(
        {"rows": [], "paired": {}, "learning_curve": [], "scale": {"budget": 1.0}}, folder / "table.png"
    ),
    "trainer/phantom/cohort/make.py": lambda folder: _claim("{}", folder),
    "trainer/run/curves.py": lambda folder: plot_curves([{"epoch": 0, "train_loss": 1.0}], folder / "curves.png"),
    "trainer/run/run_folder.py": lambda folder: write_tensors(folder / "weights", {"weight": torch.ones(3)}, {}),
}
AFTER_LONG_WORK = {
    "bmd_edge/cli/bundle.py", "bmd_edge/clinic/setup/backup.py",
    "calibration/commands.py", "calibration/study/pool_page.py", "calibration/validate/page.py",
    "calibration/world/page.py", "export/proofs/study_pooling.py", "export/proofs/study_sizes.py",
    "export/bench/int8_speed.py", "export/proofs/class_head.py", "export/proofs/drift_delay.py",
    "export/proofs/steady_verdict.py", "export/proofs/surroundings.py", "trainer/images/cutter.py",
    "export/proofs/intervals.py", "export/proofs/follow.py", "export/proofs/noise_floor.py",
    "export/proofs/recalibration.py", "export/readme/pages.py", "export/readme/speed.py", "export/report/page.py",
    "trainer/paper_table/page.py", "trainer/paper_table/units.py", "trainer/phantom/cohort/demo.py",
    "trainer/commands.py", "trainer/phantom/judge/score.py", "trainer/run/loop.py", "trainer/adapt/adapt.py",
    "trainer/adapt/parent.py", "trainer/domains/__main__.py", "trainer/domains/units.py",
}  # fmt: skip
"""They write what they measured, drew, trained or copied for minutes; that they have no own way to is seen below."""


def held(path: Path) -> dict[str, int]:
    """Every file and folder of `path`, itself too, and its size as synced."""
    found = [path, *path.rglob("*")] if path.is_dir() else [path]
    return {str(one): 0 if one.is_dir() else one.stat().st_size for one in found}


@pytest.mark.filterwarnings("ignore:No artists with labels")
@pytest.mark.parametrize("module", WRITERS)
def test_a_file_is_on_the_disk_before_it_has_its_name(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    synced: dict[str, int] = {}
    owed: set[str] = set()  # folders in which something was renamed since they were synced
    places: set[Path] = set()
    sync = os.fsync

    def fsync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        synced.update({str(path): 0 if path.is_dir() else path.stat().st_size})
        owed.discard(str(path))
        sync(handle)

    def checked(rename: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def call(source: Path, target: Path) -> None:
            whole = held(Path(source))
            assert whole.items() <= synced.items()
            assert any(whole.values())
            owed.add(str(Path(target).parent))
            places.add(Path(target))
            rename(source, target)

        return call

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", checked(os.replace))
    monkeypatch.setattr(os, "rename", checked(os.rename))
    WRITERS[module](folder)
    assert owed == set()
    assert places == set(folder.iterdir())


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("the old one")
    with pytest.raises(UnicodeEncodeError), replace_file(path) as file:
        file.writelines(["half of the new one", "\udcff"])
    assert (path.read_text(), list(tmp_path.iterdir())) == ("the old one", [path])


def test_what_a_killed_process_left_is_no_hindrance_and_not_written_through(tmp_path: Path) -> None:
    """Processes get the same number again, in a container always; and a link may have been put there."""
    (tmp_path / "other").write_text("not to be touched")
    (tmp_path / f".file.{os.getpid()}.part").symlink_to(tmp_path / "other")
    replace_bytes(tmp_path / "file", b"new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "new", "other": "not to be touched"}


def test_a_file_has_the_mode_asked_for_from_the_start(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    path = tmp_path / "key"
    path.write_text("readable by all")
    with replace_file(path, mode=0o600) as file:
        assert mode(Path(file.name)) == 0o600
    assert mode(path) == 0o600
    (tmp_path / "plain").touch()
    replace_bytes(path, b"")
    assert mode(path) == mode(tmp_path / "plain")


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the packages: file, name of what is called, the call."""
    for package in ("bmd_edge", "trainer", "export", "calibration"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    function = node.func
                    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                    yield str(path.relative_to(ROOT)), name, node


def renames(name: str, call: ast.Call) -> bool:
    """Whether a call gives a file another name; `str.replace` has two arguments, `dataclasses.replace` named ones."""
    if name == "replace":
        of_os = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "os"
        return of_os or (isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords)
    return name in ("rename", "renames", "move", "link", "symlink_to", "hardlink_to")


def writes(name: str, call: ast.Call) -> bool:
    """Whether a call writes a file where it stands; a picture may be drawn into memory."""
    if name in ("write_text", "write_bytes", "savez", "savez_compressed", "save_file", "copyfile", "copy"):
        return name != "copy" or ast.unparse(call.func) in ("shutil.copy", "copy2")
    if name in ("open", "ZipFile"):
        modes = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
        return any(isinstance(one, ast.Constant) and set("wax+") & set(str(one.value)) for one in modes)
    return name == "savefig" and ast.unparse(call.args[0]) not in ("buffer", "picture")


def test_there_is_one_writer() -> None:
    assert {file for file, name, call in calls() if renames(name, call)} == {
        "bmd_edge/system/files.py",
        "bmd_edge/clinic/setup/backup.py",  # a journal in whose place another comes, put aside
        "trainer/adapt/adapt.py",  # links to two folders of films, made anew when interrupted
    }
    assert {file for file, name, call in calls() if writes(name, call)} == {
        "bmd_edge/system/files.py",
        "bmd_edge/screen/ledger_file.py",  # a copy in a scratch folder, to read where nothing can be written
        "bmd_edge/clinic/doors/guard.py",  # lines of a log, added as they come
        "bmd_edge/clinic/journal/heads.py",  # the same, each synced
        "bmd_edge/system/patient_key.py",  # made once, and only where there is none; imported as the others write
        "export/bench/against.py",  # films in a scratch folder
        "export/bench/one_build.py",  # a file of the kernel's
        "export/bench/stages.py",  # films in a scratch folder, and a file of the kernel's
        "export/bundle/pack.py",  # a scratch folder, which is synced and renamed as a whole
        "export/bundle/self_test_outputs.py",  # the same
        "export/container/layers.py",  # the layers of a container, made anew when interrupted
        "export/container/licenses.py",  # the same
        "export/int8/quantize.py",  # the same as the bundle's
        "export/make_bundle.py",  # the same
        "export/onnx_file/to_onnx.py",  # the same
        "export/servers/written.py",  # the same
        "trainer/phantom/beam/make_beam_table.py",  # once, by a developer
        "trainer/run/loop.py",  # a line of metrics is added at the end and synced, before the state that counts it
    }


def test_every_writer_stands_here() -> None:
    names = {"replace_file", "replace_bytes", "replace_folder"}
    users = {file for file, name, _ in calls() if name in names} | {"bmd_edge/system/files.py"}
    assert users == {*WRITERS, *AFTER_LONG_WORK}
