"""Films to measure speed with: the embedded synthetic films at 9 megapixels and 12 bits, in any transfer syntax."""

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID

import bmd_edge
from bmd_edge.film.read import read_film

PIXELS = 9_000_000
BITS = 12
_NOISE = 8.0  # gray levels of 4096; lossless files then are 2.5 times smaller than the pixels, as those of real films
_SPACINGS = ("ImagerPixelSpacing", "PixelSpacing")
_DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"

Pixels = NDArray[np.uint16]


def _rle(pixels: Pixels) -> bytes:
    """PS3.5 annex G: two byte planes, the most significant first, each PackBits-coded row by row."""
    planes = pixels.astype(">u2").view(np.uint8).reshape(*pixels.shape, 2)
    segments = []
    for plane in (planes[..., 0], planes[..., 1]):
        packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane)
        segments.append(packed + b"\0" * (len(packed) % 2))
    return struct.pack("<16L", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments)


ENCODERS: dict[str, tuple[str, Callable[[Pixels], Any]]] = {
    "uncompressed": ("1.2.840.10008.1.2.1", lambda pixels: pixels.astype("<u2").tobytes()),
    "rle": ("1.2.840.10008.1.2.5", _rle),
    "jpeg_lossless": (
        "1.2.840.10008.1.2.4.70",
        lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=BITS),
    ),
    "jpeg_ls": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "jpeg_2000": (
        "1.2.840.10008.1.2.4.90",
        lambda pixels: imagecodecs.jpeg2k_encode(
            pixels, codecformat="j2k", reversible=True, level=0, bitspersample=BITS
        ),
    ),
    "htj2k": ("1.2.840.10008.1.2.4.201", lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
}
"""Name -> (transfer syntax UID, pixels (rows, columns) uint16 -> frame)."""


def films(syntax: str, count: int, seed: int = 0, detector_mm: float | None = None) -> Iterator[bytes]:
    """`count` films in the transfer syntax of that name, the embedded ones in turn, each with its own noise and UIDs.

    Enlarged (bicubic) to 9 megapixels, or to pixels of `detector_mm`; the header's spacing shrinks with the pixels.
    """
    sources = sorted(_DEMO.glob("*.dcm"))
    for number in range(count):
        yield _film(sources[number % len(sources)], syntax, np.random.default_rng([seed, number]), detector_mm)


def _film(source: Path, syntax: str, random: np.random.Generator, detector_mm: float | None) -> bytes:
    uid, encode = ENCODERS[syntax]
    small = read_film(source).stored
    dataset = pydicom.dcmread(source)
    stated = next(dataset[name].value[0] for name in _SPACINGS if name in dataset)
    factor = float(stated) / detector_mm if detector_mm else (PIXELS / small.size) ** 0.5
    rows, columns = (round(size * factor) for size in small.shape)
    large = Image.fromarray(small.astype(np.float32)).resize((columns, rows), Image.Resampling.BICUBIC)
    noisy = np.asarray(large) + random.normal(0, _NOISE, (rows, columns)).astype(np.float32)
    pixels = np.clip(np.rint(noisy), 0, (1 << BITS) - 1).astype(np.uint16)
    dataset.Rows, dataset.Columns = rows, columns
    for name in _SPACINGS:
        if name in dataset:
            dataset[name].value = [f"{value / factor:.6g}" for value in dataset[name].value]
    name = UID(f"2.25.{random.integers(10**17, 10**18)}")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = name
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    frame = bytes(encode(pixels))
    packed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    del dataset.PixelData
    dataset.add_new("PixelData", "OB" if packed else "OW", encapsulate([frame]) if packed else frame)
    dataset["PixelData"].is_undefined_length = packed
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def renamed(film: bytes, number: int) -> bytes:
    """The same film under another SOP Instance UID: another file, as long as the first."""
    start = film.index(b"2.25.", film.index(b"DICM"))
    old = film[start : start + 23]
    return film.replace(old, b"2.25.%018d" % (9 * 10**17 + number))
