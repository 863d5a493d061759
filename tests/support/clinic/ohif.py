"""What a radiologist sees of the box's objects in the viewer OHIF: python -m tests.support.clinic.ohif --out FILE

The demo's films are read with the embedded bundle; films and all kinds of objects lie in Debian's Orthanc. nginx serves
OHIF, which npm fetches, and Orthanc's DICOMweb from one origin of loopback, and Chromium opens every object. What it
writes and draws is compared with results.csv and with the objects' own bytes.
"""

import argparse
import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import numpy as np
import pydicom
from PIL import Image

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.objects.make import Made
from bmd_edge.report.results import write_csv
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from tests.bmd_edge.clinic.delivery.archives import Orthanc, orthanc_archive
from tests.bmd_edge.clinic.objects.said import said_of
from tests.support.clinic import free_port, started
from tests.support.clinic.browser import Browser, browser
from tests.support.clinic.viewer import DEMO, numbers_of_csv

OHIF = "@ohif/app@3.13.2"
_SETTINGS = {
    "routerBasename": None, "extensions": [], "modes": [], "showStudyList": True, "maxNumberOfWebWorkers": 1,
    "showWarningMessageForCrossOrigin": False, "showCPUFallbackMessage": False,
    "strictZSpacingForVolumeViewport": True, "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "pacs",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb", "sourceName": "pacs",
            "configuration": {
                "friendlyName": "PACS", "name": "pacs", "qidoRoot": "/dicom-web", "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/dicom-web", "imageRendering": "wadors", "thumbnailRendering": "wadors",
                "singlepart": "bulkdata,video,pdf", "bulkDataURI": {"enabled": True},
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}  # fmt: skip
"""OHIF's own point to a public server."""
_NGINX = """daemon off; worker_processes 1; pid {place}/nginx.pid; error_log stderr;
events {{}}
http {{
  include /etc/nginx/mime.types; access_log off; client_body_temp_path {place}/1; proxy_temp_path {place}/2;
  fastcgi_temp_path {place}/3; uwsgi_temp_path {place}/4; scgi_temp_path {place}/5;
  server {{
    listen 127.0.0.1:{port};
    location = /app-config.js {{ alias {place}/app-config.js; }}
    location /dicom-web/ {{ proxy_pass http://127.0.0.1:{orthanc}; proxy_set_header Host $http_host; }}
    location / {{ root {app}; try_files $uri /index.html; }}
  }}
}}
"""
_SOFTWARE = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""A machine without a GPU draws all the same."""


class Film(NamedTuple):
    """A film with its objects and the numbers of its rows of results.csv."""

    name: str
    study: str
    made: dict[str, Made]
    cells: dict[tuple[str, str, str], str]


def fetched(place: Path) -> Path:
    """OHIF's files, by npm."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", OHIF], cwd=place, check=True, capture_output=True, text=True
    ).stdout
    with tarfile.open(place / packed.strip()) as archive:
        archive.extractall(place, filter="data")
    return place / "package" / "dist"


def stored(pacs: Orthanc, place: Path) -> Iterator[Film]:
    """The demo's films, each of them and its objects kept by Orthanc."""
    with Screener(read_bundle(), "cpu", threads=1) as screener:
        for path in sorted(DEMO.glob("*.dcm")):
            film = path.read_bytes()
            report, made = said_of(film, screener=screener)
            for data in (film, *(one.data for one in made.values())):
                with urlopen(Request(f"http://127.0.0.1:{pacs.http}/instances", data)) as answer:
                    assert answer.status == 200
            write_csv(place / "results.csv", [report])
            study = str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
            yield Film(path.stem, study, made, numbers_of_csv(place / "results.csv"))


@contextmanager
def served(place: Path, app: Path, pacs: Orthanc) -> Iterator[str]:
    """OHIF and Orthanc's DICOMweb at one address of loopback."""
    port = free_port()
    (place / "app-config.js").write_text(f"window.config = {json.dumps(_SETTINGS)};", encoding="utf-8")
    (place / "nginx.conf").write_text(_NGINX.format(place=place, port=port, orthanc=pacs.http, app=app))
    with started(["nginx", "-e", "stderr", "-g", "user root;", "-c", place / "nginx.conf"], place / "nginx.log", port):
        yield f"http://127.0.0.1:{port}"


# -- what is seen -----------------------------------------------------------------------------------------------------

_TEXTS = "[...document.querySelectorAll('svg.svg-layer text')].map((one) => [...one.querySelectorAll('tspan')]"
_TEXTS = f"JSON.stringify({_TEXTS}.map((row) => row.textContent)))"
_MEASURED = """JSON.stringify(services.displaySetService.getActiveDisplaySets().find((one) => one.Modality === "SR")
  .measurements.map((one) => [one.TrackingIdentifier, [...one.coords[0].GraphicData], one.labels]))"""
_LIGHT = """(() => { const canvas = document.querySelector(".cornerstone-canvas"); if (!canvas) return 0;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.reduce((sum, one, n) => sum + (n % 4 < 3 ? one : 0), 0) / data.length })()"""
_BUTTON = "[...document.querySelectorAll('button')].find((one) => one.textContent.trim() === {text})"
SIZE = 1600, 1000


def opened(seen: Browser, url: str, study: str) -> None:
    """A study with its five series; whoever comes for the first time is led round, and leaves that out."""
    seen.ask("Page.navigate", url=f"{url}/viewer?StudyInstanceUIDs={study}")
    seen.until("window.services?.displaySetService.getActiveDisplaySets().length >= 5", 240)
    seen.until(f"{_LIGHT} > 5", 240)
    if seen.value("!localStorage.shownTours?.includes('basicViewerTour')"):
        seen.until(_BUTTON.format(text="'Skip all'"), 60)
    seen.value(f"{_BUTTON.format(text=repr('Skip all'))}?.click()")


def show(seen: Browser, series: int) -> None:
    """A double click on a series."""
    place = f"document.querySelector('[data-series=\"{series}\"]')"
    seen.value(f"{place}.dispatchEvent(new MouseEvent('dblclick', {{ bubbles: true }}))")


def redrawn(seen: Browser) -> None:
    """The window is made a little smaller and larger: OHIF draws a report's lines when the film is drawn anew."""
    for less in (40, 0):
        size = {"width": SIZE[0] - less, "height": SIZE[1] - less}
        seen.ask("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        seen.value("new Promise((done) => setTimeout(() => done(1), 1500))")


def report_shown(seen: Browser, film: Film, pictures: Path | None) -> dict[str, Any]:
    """The lines that are drawn of a report, and numbers of results.csv that are not among them as OHIF rounds them."""
    show(seen, 9001)
    seen.until(f"{_BUTTON.format(text=repr('No'))} || services.displaySetService.getActiveDisplaySets().find("
               "(one) => one.Modality === 'SR').isLoaded", 120)  # fmt: skip
    seen.value(f"{_BUTTON.format(text=repr('No'))}?.click()")
    redrawn(seen)
    lines = [row for text in json.loads(seen.value(_TEXTS)) for row in text]
    if pictures:
        seen.picture(pictures / f"{film.name}_sr.png", whole=False)
    wrong = 0
    for side, _, labels in json.loads(seen.value(_MEASURED)):
        told = [(one["label"], one["value"].split()) for one in labels if one["value"].split()[-1] != "region"]
        wrong += sum(f"{label}: {' '.join(value)}" not in lines for label, value in told)
        wrong += _differ(film.cells, side[0], told)
    return {"drawn": lines, "numbers_not_drawn_or_others": wrong}


def _differ(cells: dict[tuple[str, str, str], str], side: str, told: list[tuple[str, list[str]]]) -> int:
    """How many of a hip's BMD and T-scores are not said, each to two places, neck before total hip."""
    expected = [
        (float(cells[side, site, what]), unit)
        for site in SITES
        for what, unit in (("bmd", "g/cm2"), ("t_score", "{T-score}"))
        if (side, site, what) in cells
    ]
    found = [(float(number), unit) for _, (number, unit) in told]
    if len(found) != len(expected):
        return abs(len(found) - len(expected))
    pairs = zip(found, expected, strict=True)
    return sum(unit != other or abs(one - cell) > 0.00501 for (one, unit), (cell, other) in pairs)


def picture_shown(seen: Browser, film: Film, pictures: Path | None) -> float:
    """Mean difference, in gray levels of 255, of the canvas from the Secondary Capture's own pixels."""
    show(seen, 9002)
    seen.until("services.viewportGridService.getState().viewports.size", 60)
    redrawn(seen)
    if pictures:
        seen.picture(pictures / f"{film.name}_sc.png", whole=False)
    shot = seen.value("document.querySelector('.cornerstone-canvas').toDataURL('image/png')")
    canvas = Image.open(io.BytesIO(base64.b64decode(shot.partition(",")[2]))).convert("RGB")
    whole = Image.fromarray(pydicom.dcmread(io.BytesIO(film.made["sc"].data)).pixel_array)
    scale = min(canvas.width / whole.width, canvas.height / whole.height)
    width, height = round(whole.width * scale), round(whole.height * scale)
    left, top = (canvas.width - width) // 2, (canvas.height - height) // 2
    part = np.asarray(canvas.crop((left, top, left + width, top + height)), float)
    return round(float(np.abs(part - np.asarray(whole.resize((width, height)), float)).mean()), 2)


def pages_shown(seen: Browser, film: Film) -> str:
    """What OHIF gives the browser to show as PDF."""
    show(seen, 9004)
    seen.until("document.querySelector('object[type=\"application/pdf\"]')?.data", 120)
    asked = """fetch(document.querySelector('object[type="application/pdf"]').data).then(async (answer) =>
      [answer.status, btoa([...new Uint8Array(await answer.arrayBuffer())].map((one) => String.fromCharCode(one))
      .join(""))])"""
    status, body = seen.value(asked)
    pdf = pydicom.dcmread(io.BytesIO(film.made["pdf"].data)).EncapsulatedDocument
    same = hashlib.sha256(base64.b64decode(body)).digest() == hashlib.sha256(pdf).digest()
    return "the very pages" if same else f"not the pages: HTTP {status}"


def look(place: Path, app: Path, pictures: Path | None) -> dict[str, Any]:
    """Open every object of every film."""
    found: dict[str, Any] = {}
    with (
        orthanc_archive(place / "pacs", free_port()) as pacs,
        served(place, app, pacs) as url,
        browser(place / "profile", *_SOFTWARE) as seen,
    ):
        films = list(stored(pacs, place))
        for film in films:
            size = {"width": SIZE[0], "height": SIZE[1]}
            seen.ask("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
            opened(seen, url, film.study)
            unsupported = "services.displaySetService.getActiveDisplaySets().filter((one) => one.unsupported)"
            found[film.name] = {
                "sr": report_shown(seen, film, pictures),
                "sc_mean_difference_of_255": picture_shown(seen, film, pictures),
                "pdf": pages_shown(seen, film),
                "not_shown": seen.value(f"{unsupported}.map((one) => one.Modality)"),
            }
        elsewhere = [one for one in seen.requests if not one.startswith((url, "data:", "blob:"))]
    numbers = sum(what in ("bmd", "t_score") for film in films for *_, what in film.cells)
    return {"numbers_of_results_csv": numbers, "asked_elsewhere": elsewhere, "films": found}


def main() -> None:
    """Look, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", type=Path, help="folder of OHIF's files; without it npm fetches them")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the screen")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = look(place, given.app or fetched(place), given.pictures)
    said = {"command": "python -m tests.support.clinic.ohif", "films_are": "synthetic, of the demo", "viewer": OHIF}
    versions = {"browser": version("chromium"), "archive": version("Orthanc")}
    given.out.write_text(json.dumps(said | versions | found, indent=1) + "\n", encoding="utf-8")


def version(program: str) -> str:
    """What a program says of its version, in one line."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.splitlines()[0].split())


if __name__ == "__main__":
    main()
