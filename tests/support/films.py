"""DICOM films made in memory: frames in every transfer syntax, with any element changed.

`dicom_bytes(...)` writes one film; a `Case(name, data, code, flags)` says what must become of it.
"""

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
DX_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
CT = "1.2.840.10008.5.1.4.1.1.2"

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
LOSSLESS = (RLE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL)
LOSSY = (JPEG_BASELINE, JPEG_EXTENDED, JPEG_LS_NEAR, JPEG_2000, HTJ2K)

CANARY = "CANARY"
"""Stands in every element that names the patient, the place or a person."""


def pixels(rows: int = 120, columns: int = 90, bits: int = 12, signed: bool = False, seed: int = 0) -> NDArray[Any]:
    """A film-like field without any symmetry: a slope, two blobs and noise, within `bits` bits."""
    y, x = np.mgrid[:rows, :columns] / max(rows, columns)
    field = 0.2 + 0.3 * x + 0.15 * y + 0.3 * np.exp(-((x - 0.2) ** 2 + (y - 0.6) ** 2) / 0.01)
    field += np.random.default_rng(seed).normal(0, 0.01, field.shape)
    values = np.clip(field, 0, 1) * ((1 << bits) - 1)
    if signed:
        return np.rint(values - (1 << (bits - 1))).astype(np.int8 if bits == 8 else np.int16)
    return np.rint(values).astype(np.uint8 if bits == 8 else np.uint16)


def rle(frame: NDArray[Any]) -> bytes:
    """PS3.5 annex G: byte planes, most significant first, each PackBits-coded."""
    size = frame.dtype.itemsize
    planes = frame.astype(frame.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, size)
    segments = [bytes(imagecodecs.packbits_encode(np.ascontiguousarray(planes[:, i]).tobytes())) for i in range(size)]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:i])) for i in range(size)]
    return struct.pack("<16L", size, *offsets, *[0] * (15 - size)) + b"".join(segments)


def encoded(frame: NDArray[Any], syntax: str, bits: int, predictor: int = 1) -> bytes:
    """Encode one frame as the codestream of `syntax`."""
    raw = frame.view(f"u{frame.dtype.itemsize}")  # JPEG knows no sign
    if syntax == RLE:
        return rle(raw)
    if syntax in (JPEG_BASELINE, JPEG_EXTENDED):
        return bytes(imagecodecs.jpeg8_encode(raw, 98, bitspersample=8 if bits <= 8 else 12))
    if syntax in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        # A signed value is its 16-bit pattern
        depth = 8 * raw.dtype.itemsize if frame.dtype.kind == "i" else bits
        return bytes(imagecodecs.jpeg8_encode(raw, lossless=True, predictor=predictor, bitspersample=depth))
    if syntax in (JPEG_LS, JPEG_LS_NEAR):
        return bytes(imagecodecs.jpegls_encode(raw, 2 if syntax == JPEG_LS_NEAR else 0))
    if syntax in (JPEG_2000_LOSSLESS, JPEG_2000):
        lossy: dict[str, Any] = {"level": 60} if syntax == JPEG_2000 else {"reversible": True, "level": 0}
        return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", bitspersample=bits, **lossy))
    if syntax == HTJ2K:
        return bytes(imagecodecs.htj2k_encode(frame, 1e-3, reversible=False))
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True))


def _set(dataset: Dataset, name: str, value: Any) -> None:
    """Set an element past pydicom's own checks: films break rules."""
    tag = Tag(name)
    ignored = pydicom.config.IGNORE
    dataset[tag] = DataElement(tag, pydicom.datadict.dictionary_VR(tag).split(" ")[0], value, validation_mode=ignored)


def dataset(frame: NDArray[Any], bits: int = 12, **elements: Any) -> Dataset:
    """A complete AP hip film without pixel data; `elements` by keyword replace or (`None`) remove elements."""
    facts: dict[str, Any] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": "1.2.826.0.1.3680043.10.1",
        "StudyInstanceUID": "1.2.826.0.1.3680043.10.2",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.10.3",
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION",
        "StudyDate": "20240517",
        "PatientName": f"{CANARY}^NAME",
        "PatientID": f"{CANARY}-ID",
        "PatientBirthDate": "19560301",
        "PatientAge": "068Y",
        "PatientSex": "F",
        "PatientComments": f"{CANARY} comment",
        "InstitutionName": f"{CANARY} hospital",
        "OperatorsName": f"{CANARY}^OPERATOR",
        "Manufacturer": "Acme",
        "ManufacturerModelName": "Ray 1",
        "BodyPartExamined": "HIP",
        "ViewPosition": "AP",
        "ImageLaterality": "R",
        "PatientOrientation": ["L", "F"],
        "KVP": "75",
        "ExposureIndex": "250",
        "ImagerPixelSpacing": ["0.14", "0.14"],
        "EstimatedRadiographicMagnificationFactor": "1.2",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": frame.shape[0],
        "Columns": frame.shape[1],
        "BitsAllocated": 8 * frame.dtype.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(frame.dtype.kind == "i"),
        "PresentationLUTShape": "IDENTITY",
    }
    facts.update(elements)
    made = Dataset()
    for name, value in facts.items():
        if value is not None:
            _set(made, name, value)
    return made


def written(made: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Write a data set as a DICOM file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", DX)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3")
    buffer = BytesIO()
    little = syntax != BIG_ENDIAN
    pydicom.dcmwrite(buffer, made, implicit_vr=syntax == IMPLICIT, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


def with_pixels(made: Dataset, frame: NDArray[Any], syntax: str, bits: int, fragments: int = 1, **how: Any) -> Dataset:
    """Add the pixel data of `frame` in the encoding of `syntax`."""
    if syntax in NATIVE:
        raw = frame.astype(frame.dtype.newbyteorder(">" if syntax == BIG_ENDIAN else "<")).tobytes()
        made.add_new("PixelData", "OB" if frame.dtype.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
        return made
    stream = how.get("stream") or encoded(frame, syntax, bits, how.get("predictor", 1))
    made.add_new("PixelData", "OB", encapsulate([stream], fragments_per_frame=fragments, has_bot=False))
    made["PixelData"].is_undefined_length = True
    return made


def dicom_bytes(
    frame: NDArray[Any] | None = None,
    syntax: str = EXPLICIT,
    bits: int = 12,
    fragments: int = 1,
    how: dict[str, Any] | None = None,
    **elements: Any,
) -> bytes:
    """Write one film; `how` may hold `predictor` or a ready `stream`, `elements` as for `dataset`."""
    frame = pixels(bits=bits) if frame is None else frame
    made = dataset(frame, bits, **elements)
    return written(with_pixels(made, frame, syntax, bits, fragments, **(how or {})), syntax)


def sequence(**elements: Any) -> list[Dataset]:
    """A sequence of one item."""
    item = Dataset()
    for name, value in elements.items():
        _set(item, name, value)
    return [item]


def lut(values: list[int], first: int = 0, bits: int = 12) -> list[Dataset]:
    """The one item of a Modality or VOI LUT sequence."""
    item = Dataset()
    count = len(values) % 65536
    vr = "SS" if first < 0 else "US"
    # pydicom writes all three values of the descriptor with one VR
    item.add_new("LUTDescriptor", vr, [count, first, bits])
    item.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
    return [item]


@dataclass(frozen=True)
class Case:
    """One film: `code` is the refusal it must get, or `None`; `flags` must stand on a film that is read."""

    name: str
    data: bytes
    code: str | None = None
    flags: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return self.name


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the one place where `old` occurs."""
    assert data.count(old) == 1, data.count(old)
    return data.replace(old, new)


def nested(depth: int) -> bytes:
    """A film with `depth` private sequences of undefined length inside each other."""
    sequence_start = struct.pack("<HH2sHL", 0x0029, 0x1010, b"SQ", 0, 0xFFFFFFFF)
    item_start = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return before_pixels((sequence_start + item_start) * depth + ends * depth)


def many_elements(count: int) -> bytes:
    """A film with `count` empty private elements."""
    return before_pixels(b"".join(struct.pack("<HH2sH", 0x0029, 0x1000 + i % 0xE000, b"CS", 0) for i in range(count)))


def before_pixels(elements: bytes) -> bytes:
    """A plain film with more elements, already encoded in Explicit VR Little Endian."""
    base = dicom_bytes()
    place = base.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    return base[:place] + elements + base[place:]


def with_overlay(frame: NDArray[Any]) -> bytes:
    bits = (np.arange(frame.size).reshape(frame.shape) % 7 == 0).astype(np.uint16) << 15
    made = with_pixels(dataset(frame), frame | bits, EXPLICIT, 12)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 15)
    return written(made)


def saturated(frame: NDArray[Any]) -> NDArray[Any]:
    burnt = np.full_like(frame, 4095)
    burnt[:2] = frame[:2]
    return burnt


def collimated(frame: NDArray[Any]) -> NDArray[Any]:
    cut = np.zeros_like(frame)
    cut[30:80, 20:60] = frame[30:80, 20:60]
    return cut


def relabel(data: bytes, old: str, new: str) -> bytes:
    def element(uid: str) -> bytes:
        raw = uid.encode() + b"\0" * (len(uid) % 2)
        return struct.pack("<HH2sH", 2, 0x10, b"UI", len(raw)) + raw

    return patched(data, element(old), element(new))


def bright(film):
    """The whole film as bone-bright floats."""
    return film.lookup[film.stored.astype(np.int64) - film.lookup_first]
