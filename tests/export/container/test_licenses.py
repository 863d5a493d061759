"""What is under a license that nobody has looked at ends the build; what is copyleft is named."""

import json
import sys
from pathlib import Path

import pytest

from export.container import licenses
from export.container.licenses import Package, unseen


def component(name: str, *stated: dict[str, object]) -> dict[str, object]:
    return {"name": name, "version": "1", "licenses": list(stated)}


def environment(folder: Path, *components: dict[str, object]) -> Path:
    (folder / "sbom.cdx.json").write_text(json.dumps({"components": components}), encoding="utf-8")
    inside = folder / "lib" / "python3.11" / "site-packages" / "numpy.libs"
    inside.mkdir(parents=True)
    for name in ("libquadmath-96973f99.so.0.0.0", "libzstd-5461.so.1", "libzstd-77.so.2"):
        (inside / name).touch()
    return folder


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["licenses", str(folder)])
    licenses.main()
    return (folder / "LICENSES.md").read_text(encoding="utf-8")


def test_the_report_names_packages_libraries_and_what_runs_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mit, both = {"license": {"id": "MIT"}}, {"expression": "Apache-2.0 OR GPL-2.0-only"}
    classifier = {"license": {"name": "License :: OSI Approved :: BSD License"}}
    folder = environment(
        tmp_path,
        component("zeta", mit, classifier),
        component("Alpha", both),
        component("certifi", {"license": {"id": "MPL-2.0"}}),
        component("protobuf"),
    )
    said = run(folder, monkeypatch)
    rows = [line for line in said.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "| Alpha | 1 | Apache-2.0 OR GPL-2.0-only |",
        "| certifi | 1 | MPL-2.0 |",
        "| protobuf | 1 | BSD-3-Clause |",
        "| zeta | 1 | BSD License AND MIT |",
    ]
    assert "certifi: its own files stay under it" in said
    assert "* numpy: libquadmath, libzstd\n" in said
    assert "GCC's are copyleft: libquadmath LGPL-2.1-or-later." in said
    for words in (
        "orthanc-python): AGPL-3.0-or-later",
        "processes of their own",
        "runs in Orthanc's process: its guard",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("license", "missing"),
    [
        ("MIT", []),
        ("(MIT OR GPL-3.0-only)", []),
        ("GPL-3.0-only", ["GPL-3.0-only"]),
        ("MIT AND LGPL-2.1-or-later", ["LGPL-2.1-or-later"]),
        ("AGPL-3.0-only OR SSPL-1.0", ["AGPL-3.0-only OR SSPL-1.0"]),
        ("", ["no license stated"]),
        ("do what you like", ["do what you like"]),
    ],
)
def test_each_part_of_a_license_is_known_or_said(license: str, missing: list[str]) -> None:
    assert unseen(Package("one", "1", license)) == missing


def test_a_build_with_an_unseen_license_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = environment(tmp_path, component("good", {"license": {"id": "MIT"}}), component("bad"))
    with pytest.raises(SystemExit, match=r"^bad 1: no license stated\nRead these licenses, then add them"):
        run(folder, monkeypatch)
    assert "| bad | 1 |  |" in (folder / "LICENSES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [None, "{", "[]", '{"components": 3}'])
def test_a_folder_without_a_bill_of_materials_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "sbom.cdx.json").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"holds no bill of materials: make sbom\.cdx\.json with cyclonedx-py first"):
        run(tmp_path, monkeypatch)
