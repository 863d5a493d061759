"""The container's lines, run as they stand, and its demo, shut in as the container is."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from packaging.utils import canonicalize_name

from export.container import layers
from tests.whole.container.test_locks import pins

PAGE = layers.ROOT / "export" / "README.md"
NEEDS_BWRAP = pytest.mark.skipif(
    shutil.which("bwrap") is None
    or subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], check=False).returncode != 0,
    reason="bubblewrap is not here, or may not make namespaces: no layer is built and no demo is shut in",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("container") / "out"
    layers.build(out)
    return out


@NEEDS_BWRAP
def test_the_environment_holds_the_pinned_packages_and_says_so(built: Path) -> None:
    inside = built / "opt" / "bmd-edge"
    bill = json.loads((inside / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {canonicalize_name(one["name"]): one["version"] for one in bill["components"]}
    assert found.pop("bmd-edge")
    assert found == pins("cpu")
    assert "| onnxruntime |" in (inside / "LICENSES.md").read_text(encoding="utf-8")
    assert not list(inside.rglob("*.pyc"))
    assert not list(inside.rglob("pip"))


@NEEDS_BWRAP
def test_the_demo_runs_without_network_on_a_read_only_root_as_nobody(built: Path, tmp_path: Path) -> None:
    before = layers.digest(built / layers.INSTALLED)
    done = layers.shut_in(built, ["bmd-edge", "demo", "--out", "/results/demo"], {"/results": tmp_path})
    assert done.returncode == 0, done.stderr
    assert "All 5 demo films gave the outcome expected of them." in done.stderr + done.stdout
    lines = (tmp_path / "demo" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    numbers = [one for line in lines for hip in json.loads(line)["hips"] for one in hip["estimates"]]
    assert len(numbers) == 10
    assert layers.digest(built / layers.INSTALLED) == before
    tried = "id -u; touch /opt/bmd-edge/x /etc/x; sed 1,2d /proc/net/dev | cut -d: -f1"
    done = layers.shut_in(built, ["/bin/sh", "-c", tried], {})
    assert done.stdout.split() == ["10001", "lo"]
    assert done.stderr.count("Read-only file system") == 2


@NEEDS_BWRAP
def test_a_second_container_goes_on_with_the_key_of_the_first(built: Path, tmp_path: Path) -> None:
    printed = re.search(r"^\$ (podman run .+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    mounts = [printed[n + 1].split(":") for n, word in enumerate(printed) if word == "-v"]
    command = printed[printed.index("bmd-edge") :]
    assert all(source.startswith(("/", "./")) for source, *_ in mounts)  # anything else would be the name of a volume
    places = {inside: tmp_path / inside.strip("/") for _, inside, *_ in mounts}
    for folder in places.values():
        folder.mkdir()
    film = pydicom.dcmread(layers.ROOT / "bmd_edge/data/demo/right_hip.dcm")
    film.PatientID = "4711"
    film.save_as(places["/films"] / "right_hip.dcm")
    done = layers.shut_in(built, command, places)
    assert done.returncode == 0, done.stderr
    first = (places["/results"] / "results.jsonl").read_text(encoding="utf-8")
    assert json.loads(first)["patient_pseudonym"].startswith("pt-")
    again = layers.shut_in(built, [*command, "--dry-run"], places)
    assert "0 to read, 1 finished before" in again.stderr
    del places["/config"]
    without = layers.shut_in(built, command, places)
    assert "Patients have no pseudonym" in without.stderr


@NEEDS_BWRAP
def test_a_package_that_is_not_the_one_of_its_hash_is_not_installed(tmp_path: Path) -> None:
    lock = (layers.ROOT / "export/container/requirements/cpu.txt").read_text(encoding="utf-8")
    entry = re.search(r"^mdurl==(?:.*\\\n)+.*$", lock, re.MULTILINE)[0]
    (tmp_path / "one.txt").write_text(re.sub(r"sha256:....", "sha256:0000", entry) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run(
        [*command, "-r", tmp_path / "one.txt", "-d", tmp_path / "got"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not list(tmp_path.rglob("*.whl"))


def test_every_install_of_packages_asks_for_hashes_and_nobody_is_root() -> None:
    text = layers.CONTAINERFILE.read_text(encoding="utf-8")
    settings, commands = layers.read_stage(text, 1)
    assert settings["EXTRA"] == "cpu"
    assert int(settings["SOURCE_DATE_EPOCH"]) > 0
    installs = [one for one in commands if " install " in one]
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    final = text.split("FROM ")[-1]
    assert "USER 10001:10001" in final
    assert not re.search(r"^(RUN|ADD|EXPOSE)", final, re.MULTILINE)


def test_the_digest_sees_bytes_modes_names_and_links_but_no_times(tmp_path: Path) -> None:
    def made(name: str, data: bytes = b"x", file: str = "a", mode: int = 0o644, link: str = "a") -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / file).write_bytes(data)
        (folder / file).chmod(mode)
        (folder / "link").symlink_to(link)
        os.utime(folder / file, (len(name), len(name)))
        return layers.digest(folder)

    same = made("one")
    assert made("later") == same
    assert same not in (made("b", b"y"), made("c", file="c"), made("d", mode=0o755), made("e", link="b"))


def test_a_folder_that_is_there_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["layers", str(tmp_path)])
    with pytest.raises(SystemExit, match="exists: give a new folder"):
        layers.main()
