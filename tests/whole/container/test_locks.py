"""Lists of packages that are pinned with their hashes: they fit what `pyproject.toml` asks for, and each other."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
LOCKS = ROOT / "export" / "container" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
UNPINNED = {
    "tensorrt": "fetched from NVIDIA's own index",
    "compile-check": "fetched from NVIDIA's own index",
    "dev": "tests take what is newest",
}
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "extra": ""}


def pins(name: str) -> dict[str, str]:
    """Package -> version; AssertionError for a line that is no pin with hashes of SHA-256."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    found = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        first, *hashes = [line.strip().removesuffix("\\").strip() for line in entry.splitlines()]
        package, version = re.fullmatch(r"([\w.-]+)==([\w.+]+)", first).groups()
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), package
        assert canonicalize_name(package) not in found
        found[canonicalize_name(package)] = version
    return found


def asked(name: str) -> list[Requirement]:
    if name == "container":
        return [Requirement(line) for line in PROJECT["dependency-groups"]["container"]]
    lines = [*PROJECT["project"]["dependencies"], *EXTRAS[name], *(EXTRAS["cpu"] if name != "gpu" else [])]
    return [Requirement(line) for line in lines]


def test_every_extra_has_a_list_or_a_reason() -> None:
    assert {path.stem for path in LOCKS.iterdir()} == {*EXTRAS, "container"} - set(UNPINNED)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    locked = re.search(r"^LOCKED := (.+)$", makefile, re.MULTILINE)[1].split()
    assert {*locked, "gpu", *UNPINNED} == set(EXTRAS)


@pytest.mark.parametrize("name", sorted(path.stem for path in LOCKS.iterdir()))
def test_what_is_pinned_is_what_the_project_asks_for(name: str) -> None:
    found = pins(name)
    for wanted in asked(name):
        if wanted.marker is None or wanted.marker.evaluate(PYTHON):
            assert wanted.specifier.contains(found[canonicalize_name(wanted.name)]), wanted
    assert "bmd-edge" not in found
    assert ("onnxruntime" in found) == (name not in ("gpu", "container"))
    assert ("torch" in found) == (name in ("train", "export"))


def test_one_package_has_one_version_in_all_lists() -> None:
    versions: dict[str, set[str]] = {}
    for path in LOCKS.iterdir():
        if path.stem != "container":  # tools of the build, which are not installed with any of the others
            for package, version in pins(path.stem).items():
                versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}
    assert len(versions) > 60


def test_the_report_of_licenses_is_that_of_the_pinned_packages() -> None:
    text = (ROOT / "export" / "container" / "LICENSES.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| ([\d][\w.+]*) \| \S", text, re.MULTILINE))
    assert {canonicalize_name(name): version for name, version in rows.items()} == pins("clinic") | {
        "bmd-edge": PROJECT["project"]["version"]
    }


def test_the_wheels_for_arm_are_those_of_the_pinned_packages() -> None:
    found = json.loads((ROOT / "tests" / "results" / "arm64_wheels.json").read_text(encoding="utf-8"))
    for name in ("cpu", "clinic", "gpu"):
        stated = dict(one.rsplit(" ", 1) for one in found[name])
        assert {canonicalize_name(package): version for package, version in stated.items()} == pins(name)
    missing = [one for name in ("cpu", "clinic", "gpu") for one, wheel in found[name].items() if wheel is None]
    assert [one.split()[0] for one in missing] == ["onnxruntime-gpu"]
    assert all("aarch64" in wheel or wheel.endswith("-none-any.whl") for wheel in found["clinic"].values())
