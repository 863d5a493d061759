"""What `screen`, `demo` and `schema` say and write."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bmd_edge import open_bundle
from bmd_edge.bundle.bundle import Signed, read_bundle
from bmd_edge.cli import screen
from bmd_edge.errors import BundleError
from bmd_edge.report.film_report import RESEARCH_USE, SCHEMA_VERSION
from bmd_edge.report.schema import json_schema
from bmd_edge.screen import run
from bmd_edge.screen.screener import open_screener
from export.bundle.sign import sign_bundle
from tests.bmd_edge.cli.program import program
from tests.support.screening import hip_dicom


def test_json_prints_what_is_in_the_file(inside, films: Path, tmp_path: Path) -> None:
    code, out, err = inside("screen", films, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert out == (tmp_path / "out" / "results.jsonl").read_text()
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["pelvis.dcm", "right.dcm"]
    assert RESEARCH_USE in err


def test_dry_run_changes_nothing(inside, films: Path, tmp_path: Path) -> None:
    (films / "link.dcm").symlink_to(films / "right.dcm")
    code, out, err = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert code == 0
    assert out.splitlines() == ["leave   link.dcm", "read    pelvis.dcm", "read    right.dcm"]
    assert "2 to read, 0 finished before, 1 left out" in err
    assert not (tmp_path / "out").exists()
    inside("screen", films, "--out", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert out.splitlines() == ["leave   link.dcm", "skip    pelvis.dcm", "skip    right.dcm"]
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run", "--fresh")
    assert out.splitlines() == ["leave   link.dcm", "read    pelvis.dcm", "read    right.dcm"]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_one_film_is_enough(inside, films: Path, tmp_path: Path) -> None:
    code, out, _ = inside("screen", films / "right.dcm", "--out", tmp_path / "out", "--dry-run")
    assert (code, out) == (0, "read    right.dcm\n")
    code, out, _ = inside("screen", films / "right.dcm", "--out", tmp_path / "out")
    assert (code, "1 file: 1 read" in out) == (0, True)
    code, _, err = inside("screen", films / "pelvis.dcm", "--out", tmp_path / "out", "--dry-run")
    assert "1 to read, 0 finished before, 0 left out; nothing" in err


def test_one_film_says_nothing_of_others(inside, films: Path, tmp_path: Path) -> None:
    """A refused film of before, a copy of the one that is named, and what is no longer there change nothing of it."""
    (films / "broken.dcm").write_bytes(hip_dicom("L")[:900])
    shutil.copy(films / "right.dcm", films / "copy.dcm")
    code, _, _ = inside("screen", films, "--out", tmp_path / "out")
    assert code == 3
    (films / "pelvis.dcm").unlink()
    for name in ("right.dcm", "copy.dcm"):
        code, out, err = inside("screen", films / name, "--out", tmp_path / "out")
        assert (code, "1 file: 1 read, 0 refused" in out, "not there now" in err) == (0, True, False)
        assert "pelvis" not in out
        code, out, _ = inside("screen", films / name, "--out", tmp_path / "out", "--json")
        assert (code, [json.loads(line)["file"] for line in out.splitlines()]) == (0, [name])
    code, out, _ = inside("screen", films / "broken.dcm", "--out", tmp_path / "out")
    assert (code, "1 file: 0 read, 1 refused" in out) == (3, True)
    assert "4 file" not in out


def test_one_folder_says_nothing_of_others(inside, films: Path, tmp_path: Path) -> None:
    """Two days of the same file names: neither is told as replaced or missing, and each has an exit code of its own."""
    day2, out = tmp_path / "day2", tmp_path / "out"
    shutil.copytree(films, day2)
    (day2 / "right.dcm").write_bytes(hip_dicom("R", bone=2100))
    (day2 / "pelvis.dcm").write_bytes(hip_dicom("L")[:900])
    assert inside("screen", films, "--out", out)[0] == 0
    _, text, err = inside("screen", day2, "--out", out, "--dry-run")
    assert ("2 to read, 0 finished before, 0 left out; nothing" in err, text.count("read ")) == (True, 2)
    code, text, err = inside("screen", day2, "--out", out)
    assert (code, "2 files: 1 read, 1 refused" in text, "--forget-missing" in err) == (3, True, False)
    assert "day2/right.dcm" in text
    assert f"{films.name}/" not in text
    assert "also hold 2 results of earlier runs with this --out, as last known" in err
    assert f"this run did not look there: 2 of {films.name}. --forget-folder NAME" in err
    assert "The results hold films of several folders: file names begin with their folder's name." in err
    assert "begin with their folder's name" not in inside("screen", day2, "--out", out)[2]
    code, text, _ = inside("screen", films, "--out", out, "--json")
    assert (code, [json.loads(line)["file"] for line in text.splitlines()]) == (
        0, [f"{films.name}/pelvis.dcm", f"{films.name}/right.dcm"],
    )  # fmt: skip


def test_a_folder_that_is_gone_is_forgotten_by_its_name(inside, films: Path, tmp_path: Path) -> None:
    """It was given another name with fewer than half of its films left: nobody can know it for the same."""
    big, bigger, out = tmp_path / "big", tmp_path / "bigger", tmp_path / "out"
    shutil.copytree(films, big)
    (big / "third.dcm").write_bytes(hip_dicom("L"))
    inside("screen", big, "--out", out)
    big.rename(bigger)
    for name in ("right.dcm", "pelvis.dcm"):
        (bigger / name).unlink()
    assert "this run did not look there: 3 of big." in inside("screen", bigger, "--out", out)[2]
    code, _, err = inside("screen", big, "--out", out)
    assert (code, "does not exist" in err, "--forget-folder big with another folder" in err) == (2, True, True)
    code, _, err = inside("screen", bigger, "--out", out, "--forget-folder", "bog")
    assert (code, "bog: --out knows no such folder: it knows big, bigger" in err) == (2, True)
    code, _, err = inside("screen", bigger, "--out", out, "--forget-folder", "big")
    assert (code, "Forgotten: the folder big, 3 results." in err, "also hold" in err) == (0, True, False)
    assert "films of one folder: file names do not begin with their folder's name any more" in err
    assert [json.loads(line)["file"] for line in (out / "results.jsonl").read_text().splitlines()] == ["third.dcm"]


def test_what_is_forgotten_is_said(inside, films: Path, tmp_path: Path) -> None:
    day2, out = tmp_path / "day2", tmp_path / "out"
    day2.mkdir()
    (day2 / "left.dcm").write_bytes(hip_dicom("L"))
    for folder in (films, day2):
        assert "Forgotten" not in inside("screen", folder, "--out", out)[2]
    (films / "right.dcm").unlink()
    _, _, err = inside("screen", films, "--out", out, "--forget-missing")
    assert f"Forgotten: 1 result of films that are not there now: {films.name}/right.dcm." in err
    assert "Forgotten" not in inside("screen", films, "--out", out, "--forget-missing")[2]
    _, _, err = inside("screen", day2, "--out", out, "--fresh")
    assert f"Forgotten: all earlier results in --out, 1 of day2, 1 of {films.name}." in err


def test_a_folder_that_has_another_name_now_is_said(inside, films: Path, tmp_path: Path) -> None:
    inside("screen", films, "--out", tmp_path / "out")
    tuesday = films.rename(tmp_path / "tuesday")
    code, _, err = inside("screen", tuesday, "--out", tmp_path / "out")
    assert (code, f"The known folder films is taken for {tuesday}" in err) == (0, True)
    assert "taken for" not in inside("screen", tuesday, "--out", tmp_path / "out")[2]


def test_what_is_counted_is_there_now(inside, films: Path, tmp_path: Path) -> None:
    """A stick that was emptied and filled anew, under equal names."""
    out = tmp_path / "out"
    (films / "broken.dcm").write_bytes(hip_dicom("L")[:900])
    inside("screen", films, "--out", out)
    for path in films.iterdir():
        path.unlink()
    (films / "right.dcm").write_bytes(hip_dicom("R", bone=2200))
    (films / "new.dcm").write_bytes(hip_dicom("L"))
    code, text, err = inside("screen", films, "--out", out)
    assert (code, "2 files: 2 read, 0 refused" in text) == (3, True)
    assert "2 hips with a number" in text
    assert "not there now: 2 missing, 1 replaced." in err
    assert "broken.dcm [missing]" in text
    assert len([line for line in text.splitlines() if "right.dcm" in line]) == 2


def test_what_was_still_changing_is_named(inside, films: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(run, "unmoved", lambda _, item: item.file != "right.dcm")
    code, text, err = inside("screen", films, "--out", tmp_path / "out")
    assert (code, "1 file: 1 read" in text) == (3, True)
    assert "1 file was still changing: run the same command again to read it: right.dcm." in err


def test_a_folder_without_films_says_so(inside, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "README").write_text("text")
    code, _, err = inside("screen", tmp_path / "films", "--out", tmp_path / "out")
    assert (code, "None of the files was taken for a film: is it the right folder?" in err) == (3, True)


def test_an_empty_or_shrunken_folder_is_said_and_ends_with_3(inside, films: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "share", tmp_path / "out"
    folder.mkdir()
    code, _, err = inside("screen", folder, "--out", out)
    assert (code, "holds no files. Is it the right folder, and is the share" in err) == (3, True)
    for film in films.iterdir():
        film.rename(folder / film.name)
    assert inside("screen", folder, "--out", out)[0] == 0
    (folder / "right.dcm").unlink()
    code, out_text, err = inside("screen", folder, "--out", out)
    assert (code, "not there now: 1 missing" in err, "right.dcm" in out_text) == (3, True, True)
    assert "1 finished before and not there now" in inside("screen", folder, "--out", out, "--dry-run")[2]
    (folder / "pelvis.dcm").unlink()
    code, _, err = inside("screen", folder, "--out", out, "--forget-missing")
    assert (code, "is the share with the films mounted?" in err) == (2, True)
    code, _, err = inside("screen", folder, "--out", out)
    assert (code, "holds no files. 2 were known. Is it the right folder" in err) == (3, True)
    (folder / "new.dcm").write_bytes(hip_dicom("L"))
    assert inside("screen", folder, "--out", out, "--forget-missing")[0] == 0


def test_the_demo_does_not_write_over_results_of_other_films(inside, films: Path, tmp_path: Path) -> None:
    inside("screen", films, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "results.csv").read_bytes()
    code, _, err = inside("demo", "--out", tmp_path / "out")
    assert (code, "give another --out" in err) == (2, True)
    assert (tmp_path / "out" / "results.csv").read_bytes() == before


def test_the_demo_does_not_write_over_results_without_their_ledger(inside, films: Path, tmp_path: Path) -> None:
    inside("screen", films, "--out", tmp_path / "out")
    (tmp_path / "out" / "ledger.sqlite").unlink()
    before = (tmp_path / "out" / "results.csv").read_bytes()
    assert inside("demo", "--out", tmp_path / "out")[0] == 2
    assert (tmp_path / "out" / "results.csv").read_bytes() == before


def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, object]) -> None:
    (tmp_path / "data" / "demo").mkdir(parents=True)
    (tmp_path / "data" / "demo" / "right.dcm").write_bytes(hip_dicom("R"))
    (tmp_path / "data" / "demo" / "implant.dcm").write_bytes(hip_dicom("RL", implant="L"))
    (tmp_path / "data" / "demo.json").write_text(json.dumps(expected))
    monkeypatch.setattr(screen, "__file__", str(tmp_path / "cli" / "screen.py"))


def test_demo_ends_with_0_when_every_film_is_as_expected(inside, tmp_path: Path, monkeypatch) -> None:
    read = {"status": "read", "reason": None}
    expected = {
        "right.dcm": {**read, "hips": {"R": "read"}},
        "implant.dcm": {**read, "hips": {"R": "read", "L": "implant"}},
    }
    demo_data(tmp_path, monkeypatch, expected)
    code, out, err = inside("demo", "--out", tmp_path / "out")
    assert code == 0, err
    assert "right.dcm" in out
    assert "All 2 demo films" in err
    assert (tmp_path / "out" / "report" / "index.html").is_file()


@pytest.mark.parametrize("change", [{"hips": {"R": "implant"}}, {"status": "refused"}, None])
def test_demo_ends_with_1_and_says_what_differs(inside, tmp_path: Path, monkeypatch, change) -> None:
    right = {"status": "read", "reason": None, "hips": {"R": "read"}}
    both = {"status": "read", "reason": None, "hips": {"R": "read", "L": "implant"}}
    expected = {"implant.dcm": both} | ({"right.dcm": right | change} if change else {})
    demo_data(tmp_path, monkeypatch, expected)
    code, _, err = inside("demo", "--out", tmp_path / "out")
    assert code == 1
    assert "right.dcm: expected" in err
    assert "implant.dcm: expected" not in err


def test_schema() -> None:
    done = program("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json_schema()
    assert json.loads(program("schema", "--version", "1").stdout) == json_schema(1)
    later = program("schema", "--version", str(SCHEMA_VERSION + 1))
    assert later.returncode == 2
    assert f"the newest is {SCHEMA_VERSION}" in later.stderr


def test_a_folder_that_cannot_be_written_is_named_as_the_user_named_it(inside, films: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = inside("screen", films, "--out", tmp_path / "file" / "out")
    assert code == 1
    assert f"{tmp_path / 'file' / 'out'}: Not a directory" in err


def test_ctrl_c_says_how_to_go_on(inside, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(2))
    examine = run._examine

    def stop(*arguments):
        for result in examine(*arguments):
            if next(calls):
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(run, "_examine", stop)
    code, out, err = inside("screen", films, "--out", tmp_path / "out")
    assert (code, out) == (130, "")
    assert "run the same command again" in err
    monkeypatch.setattr(run, "_examine", examine)
    _, out, _ = inside("screen", films, "--out", tmp_path / "out", "--dry-run")
    assert sorted(line.split()[0] for line in out.splitlines()) == ["read", "skip"]


def test_with_a_key_only_what_its_owner_signed_is_run(bundle: Path, films: Path, tmp_path: Path) -> None:
    own, other = keys(tmp_path / "own"), keys(tmp_path / "other")
    signed = read_bundle(shutil.copytree(bundle, tmp_path / "signed"))
    out, page = tmp_path / "out", tmp_path / "out" / "report" / "index.html"

    def screened(root: Path, *options: object) -> tuple[int, str, str]:
        done = program("screen", films, "--bundle", root, "--out", out, "--threads", 1, *options)
        return done.returncode, done.stdout, done.stderr

    code, _, err = screened(signed.root, "--key", own[1])
    assert (code, err.strip().splitlines()) == (4, [err.strip()])
    assert "the bundle is not signed" in err
    said = screened(signed.root)[1]
    assert ("Networks: bundle test, without a signature." in said, kept(out)) == (True, ("unsigned", None))

    sign_bundle(signed, own[0])
    said = screened(signed.root)[1]
    assert ("with a signature that was not checked." in said, kept(out)) == (True, ("not_checked", None))
    assert "), with a signature that was not checked" in page.read_text()
    code, _, err = screened(signed.root, "--key", other[1])
    assert (code, err.strip().splitlines()) == (4, [err.strip()])
    assert "the signature does not hold: Key mismatch" in err
    assert kept(out) == ("not_checked", None)
    assert screened(signed.root, "--key", tmp_path / "nowhere.pem")[0] == 2

    name = hashlib.sha256(own[1].read_bytes()).hexdigest()
    said = screened(signed.root, "--key", own[1])[1]
    assert (f"with a verified signature (key {name[:16]})." in said, kept(out)) == (True, ("verified", name))
    assert f"), with a verified signature (key {name[:16]})" in page.read_text()
    assert open_bundle(signed.root, own[1]).signature == "verified"


def test_a_bundle_that_is_exchanged_after_its_signature_was_checked_is_not_run(bundle: Path) -> None:
    with pytest.raises(BundleError, match="not the one whose signature was checked"):
        open_screener(bundle, signed=Signed("0" * 64, "1" * 64))


def keys(folder: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    folder.mkdir()
    private, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
    own, public = folder / "own.pem", folder / "public.pem"
    own.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return own, public


def kept(out: Path) -> tuple[str, str | None]:
    """What run.json says of the signature."""
    run = json.loads((out / "run.json").read_text())
    return run["signature"], run["signature_key"]
