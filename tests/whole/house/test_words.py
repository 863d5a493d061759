"""One word for one thing: words that once meant two are not to come back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for package in ("bmd_edge", "trainer", "export", "calibration")
    for kind in ("*.py", "*.j2", "*.css")
    for path in sorted((ROOT / package).rglob(kind))
]

RECALIBRATION = re.compile(
    r"site('s)?[ _-](own|file|calibration|recalibration)|sites' own|\bby the site\b|overlay|site\.json"
    r"|Site(File|Overlay|Line)\b|(open|write)_site\b|site_(without|table)|--site\b",
    re.IGNORECASE,
)
"""Words for a clinic and its recalibration from when "site" meant a clinic too; it is femoral neck or total hip."""

FORMER = re.compile(
    r"\bthe guard\b|\bguard's|\bGuard[A-Z]|operating[ -]points?\b|OperatingPoints|\bparity\b|\bParity\b|\bBANDS\b", re.A
)
"""Words for the error budget of INT8, its verdict, and the headline with its cuts; keys of files keep them."""

PACKED = re.compile(
    r"\b(an|the) archive (that is cut off|runs|never does)|archive,? and none is opened|ZipFile\(.*as archive:"
    r"|[\"'](broken_)?archive[\"']",
    re.IGNORECASE,
)
"""An archive is where a clinic keeps its images; a zip is a packed file, a program in one a zipapp."""

ALLOWED = {
    "bmd_edge/cli/options.py": ("--site",),  # the former name of --recalibration, hidden
    "bmd_edge/dicom/frame.py": ("overlay",),  # DICOM's overlay planes, here and in the next four
    "bmd_edge/film/read.py": ("overlay",),
    "bmd_edge/pixels/decode.py": ("overlay",),
    "bmd_edge/pixels/jpeg.py": ("overlay",),
    "bmd_edge/pixels/layout.py": ("overlay",),
    "bmd_edge/report/kept_report.py": ("site_calibration", '"archive"', '"broken_archive"'),  # what ledgers once held
    "bmd_edge/screen/folder_plan.py": ("overlay",),  # a file system of that name, here and in the next
    "bmd_edge/screen/run_lock.py": ("overlay",),
    **{
        str(path.relative_to(ROOT)): ("the guard",) for path in (ROOT / "bmd_edge" / "clinic").rglob("*.py")
    },  # of Orthanc
}


@pytest.mark.parametrize(
    "text", ["the site file", "A site's own calibration", "SiteOverlay(", "use --site FILE", "site_calibration"]
)
def test_the_former_words_are_found(text: str) -> None:
    assert RECALIBRATION.search(text)


@pytest.mark.parametrize("text", ["BMD of one site", "SiteCalibration(", "site: femoral neck"])
def test_a_measuring_site_is_none_of_them(text: str) -> None:
    assert not RECALIBRATION.search(text)


@pytest.mark.parametrize("former", [RECALIBRATION, FORMER, PACKED], ids=["recalibration", "budget, headline", "packed"])
def test_one_thing_has_one_name(former: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in former.finditer(line)
        if match[0].lower() not in ALLOWED.get(str(path.relative_to(ROOT)), ())
    ]
    assert len(SOURCES) > 200
    assert not found
