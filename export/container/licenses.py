"""The licenses of what an environment holds, from its bill of materials: `python -m export.container.licenses FOLDER`.

Reads FOLDER/sbom.cdx.json (CycloneDX), writes FOLDER/LICENSES.md, and ends with 1 where a package is under a license
that nobody has looked at: a lock that is made anew brings no copyleft in unseen.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "Apache Software License", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC"),
    *("ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MIT-CMU", "PSF-2.0", "Python Software Foundation License"),
    *("Unlicense", "Zlib"),
}
"""Licenses that ask for no more than their notice: SPDX's names, and those of the classifiers of package indexes."""

FILE_LEVEL = {
    "MPL-2.0": "its own files stay under it when they are changed; nothing else does",
    "Mozilla Public License 2.0 (MPL 2.0)": "its own files stay under it when they are changed; nothing else does",
}

READ = {"protobuf": "BSD-3-Clause"}
"""Packages whose license is read in the package itself, for their metadata have it in words of their own."""

GCC = {
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libquadmath": "LGPL-2.1-or-later",
}
"""Libraries of GCC that wheels carry as files of their own, unchanged; the exception frees what is linked with them."""

APART = {
    "Orthanc (Debian's orthanc)": "GPL-3.0-or-later, with an exception for OpenSSL",
    "its plugin for Python (orthanc-python)": "AGPL-3.0-or-later",
    "its plugin for DICOMweb (orthanc-dicomweb), in tests only": "AGPL-3.0-or-later",
    "nginx (nginx-light, libnginx-mod-stream)": "BSD-2-Clause",
}
"""Programs that a clinic box runs beside bmd-edge, from Debian's packages."""

GUARD = (
    "One part of bmd-edge runs in Orthanc's process: its guard, which the plugin for Python loads and which imports"
    " bmd-edge there. Apache-2.0 allows it; who hands on both together should have somebody read the AGPL for it."
)


class Package(NamedTuple):
    """A package of the bill of materials and its license, "" where none is stated."""

    name: str
    version: str
    license: str


def packages(bill: Mapping[str, Any]) -> Iterator[Package]:
    """The packages of a CycloneDX document, as their metadata state their licenses, by name."""
    for one in sorted(bill["components"], key=lambda one: str(one["name"]).lower()):
        stated = (_name(license) for license in one.get("licenses") or ())
        yield Package(one["name"], one["version"], READ.get(one["name"]) or " AND ".join(sorted(set(stated))))


def _name(license: Mapping[str, Any]) -> str:
    held = license.get("license", license)
    name = str(held.get("expression") or held.get("id") or held.get("name") or "")
    return name.removeprefix("License :: OSI Approved :: ")


def unseen(package: Package) -> list[str]:
    """The parts of a package's license that stand in no list here; of "A OR B" one is enough."""
    missing = []
    for part in package.license.split(" AND "):
        choices = re.sub(r"[()]", "", part).split(" OR ") if " OR " in part else [part]
        if not {*choices} & {*PERMISSIVE, *FILE_LEVEL}:
            missing.append(part or "no license stated")
    return missing


def report(found: list[Package], libraries: Mapping[str, list[str]]) -> str:
    """The report as Markdown; `libraries` is wheel -> names of the shared libraries inside."""
    lines = ["# Licenses", "", "Packages of this environment, as their metadata state it (`sbom.cdx.json`):", ""]
    lines += ["| package | version | license |", "| --- | --- | --- |"]
    lines += [f"| {one.name} | {one.version} | {one.license} |" for one in found]
    for one in found:
        said = {FILE_LEVEL[name] for name in one.license.split(" AND ") if name in FILE_LEVEL}
        lines += [f"\n{one.name}: {words}." for words in sorted(said)]
    lines += ["", "Shared libraries inside wheels; the license files of each package say more where it has them:", ""]
    for wheel, names in libraries.items():
        lines.append(f"* {wheel}: {', '.join(names)}")
    named = sorted({name for names in libraries.values() for name in names} & set(GCC))
    lines += ["", f"Of these GCC's are copyleft: {', '.join(f'{name} {GCC[name]}' for name in named)}."] * bool(named)
    lines += [
        "",
        "A clinic box runs these beside it, as processes of their own that it talks to over sockets and files.",
        "",
    ]
    lines += [f"* {program}: {license}" for program, license in APART.items()]
    lines.append(f"\n{GUARD}")
    return "\n".join(lines) + "\n"


def libraries_of(environment: Path) -> dict[str, list[str]]:
    """Wheel -> names of the libraries in its folder `NAME.libs`."""
    return {
        folder.name.removesuffix(".libs"): sorted({re.split(r"[-.]", file.name)[0] for file in folder.iterdir()})
        for folder in sorted(environment.glob("lib/python*/site-packages/*.libs"))
    }


def main() -> None:
    """Write LICENSES.md; end with 1 and one line for each package under a license that is in no list."""
    parser = argparse.ArgumentParser(prog="python -m export.container.licenses", description=__doc__.split("\n")[0])
    parser.add_argument("environment", type=Path, metavar="FOLDER")
    folder = parser.parse_args().environment
    try:
        found = list(packages(json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError):
        sys.exit(f"{folder} holds no bill of materials: make sbom.cdx.json with cyclonedx-py first")
    (folder / "LICENSES.md").write_text(report(found, libraries_of(folder)), encoding="utf-8")
    said = [f"{one.name} {one.version}: {', '.join(parts)}" for one in found if (parts := unseen(one))]
    if said:
        sys.exit(
            "\n".join(said)
            + "\nRead these licenses, then add them to export/container/licenses.py, or drop the package."
        )


if __name__ == "__main__":
    main()
