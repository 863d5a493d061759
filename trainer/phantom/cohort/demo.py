"""The embedded demo films: five DICOM files in five transfer syntaxes, and the outcome each of them must have."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from bmd_edge.system.files import replace_bytes
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.write_dicom import write_dicom

DEMO_PIXEL_MM = 0.3


@dataclass(frozen=True, slots=True)
class DemoFilm:
    """One film: what to make, how to compress it, whether to store it as MONOCHROME1, and what `demo` must find."""

    spec: FilmSpec
    transfer_syntax: str
    inverted: bool
    status: str
    reason: str | None
    hips: dict[str, str]


def _hip(seed: int, side: str, style: str, kind: str = "hip", case: str = "intact") -> FilmSpec:
    return FilmSpec(seed, side=side, style=style, pixel_mm=DEMO_PIXEL_MM, kind=kind, case=case)


FILMS = {
    "right_hip.dcm": DemoFilm(_hip(901, "R", "A"), "rle", False, "read", None, {"R": "read"}),
    "left_hip.dcm": DemoFilm(_hip(902, "L", "C"), "jpeg-ls", False, "read", None, {"L": "read"}),
    "left_hip_inverted.dcm": DemoFilm(_hip(903, "L", "B"), "jpeg-lossless", True, "read", None, {"L": "read"}),
    "pelvis.dcm": DemoFilm(
        _hip(904, "R", "D", kind="pelvis"), "jpeg2000", False, "read", None, {"R": "read", "L": "read"}
    ),
    "implant.dcm": DemoFilm(
        _hip(905, "R", "E", case="implant"), "explicit", False, "refused", "implant", {"R": "implant"}
    ),
}
"""File name -> demo film. Every film is of another synthetic subject and another maker's style."""


def write_demo(data: Path) -> None:
    """Write the films to `data`/demo and their expected outcomes to `data`/demo.json."""
    folder = data / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for name, demo in FILMS.items():
        write_dicom(folder / name, stored_as(film(demo.spec), demo.inverted), demo.transfer_syntax)
    expected = {name: {"status": demo.status, "reason": demo.reason, "hips": demo.hips} for name, demo in FILMS.items()}
    replace_bytes(data / "demo.json", (json.dumps(expected, indent=1) + "\n").encode())


def stored_as(made: PhantomFilm, inverted: bool) -> PhantomFilm:
    """The same picture stored as MONOCHROME1 (`inverted`) or MONOCHROME2, 12 bits, no window (PS3.3 C.8.11.3.1.2)."""
    bright = made.bone_bright()
    pixels = ((1 - bright if inverted else bright) * 4095).round().astype("uint16")
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    stored = replace(made.stored, pixels=pixels, bits=12, photometric=photometric, window=None, lut=None)
    return replace(made, stored=stored)
