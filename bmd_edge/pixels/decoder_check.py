"""Tiny films, one per compressed transfer syntax, whose pixels are known: do the decoders of this machine still agree?

A decoder that another build or a broken update makes give other values would shift every estimate without a word.
`data/canaries.npz` holds for each transfer syntax a codestream and the pixels it stands for.
"""

import sys
from importlib.resources import files

import numpy as np

from bmd_edge.errors import EngineError, FilmRefused
from bmd_edge.pixels.decode import decode, decode_reduced
from bmd_edge.pixels.half_size import reduced
from bmd_edge.pixels.layout import PixelLayout
from bmd_edge.pixels.transfer_syntaxes import may_be_lossy, syntaxes

CANARIES = files("bmd_edge") / "data" / "canaries.npz"
_LOSSY_TOLERANCE = 1  # gray level; inverse transforms round differently


def decoder_differences() -> dict[str, int | None]:
    """Decode every canary: transfer syntax UID -> largest difference in gray levels, None where it is not decoded."""
    with CANARIES.open("rb") as file, np.load(file, allow_pickle=False) as canaries:
        names = [name.removesuffix("/stream") for name in canaries.files if name.endswith("/stream")]
        return {uid: _difference(uid, canaries[f"{uid}/stream"].tobytes(), canaries[f"{uid}/pixels"]) for uid in names}


def _difference(uid: str, stream: bytes, expected: np.ndarray) -> int | None:
    rows, columns = expected.shape
    bits = 8 if expected.dtype == np.uint8 else 12
    layout = PixelLayout(rows, columns, 8 * expected.dtype.itemsize, bits, bits - 1, signed=False)
    try:
        pairs = [(decode(uid, stream, layout), expected)]
        # Another decoder may reduce a frame than decodes it whole; lossy ones reduce by another wavelet than ours
        if not may_be_lossy(uid) and (half := decode_reduced(uid, stream, layout, 2)):
            pairs.append((half[0], reduced(expected, 2, bits)[0]))
    except FilmRefused:
        return None
    return max(int(np.abs(found.astype(np.int64) - wanted).max()) for found, wanted in pairs)


def is_sound(uid: str, difference: int | None) -> bool:
    """Tell whether a decoder may differ so much: by rounding where the syntax allows loss, else not at all."""
    return difference is not None and difference <= (_LOSSY_TOLERANCE if may_be_lossy(uid) else 0)


def check_decoders() -> None:
    """Raise EngineError if a decoder is missing or gives other values than it should; a few milliseconds."""
    remedy, again = "pip install --force-reinstall imagecodecs", "install the program again"
    if getattr(sys, "frozen", False):  # its decoders are modules that no import names, and data are no modules
        remedy = "freeze all of imagecodecs with the program (PyInstaller: --collect-submodules imagecodecs)"
        again = "freeze them with the program (PyInstaller: --collect-data bmd_edge)"
    if not CANARIES.is_file():
        raise EngineError(f"this program lacks bmd-edge's data files, by which decoders are tested: {again}")
    for uid, difference in decoder_differences().items():
        if not is_sound(uid, difference):
            name, decoder = syntaxes()[uid]
            does = f"does not decode {name}" if difference is None else f"decodes {name} wrongly"
            raise EngineError(f"{decoder} {does} on this machine: {remedy}")
