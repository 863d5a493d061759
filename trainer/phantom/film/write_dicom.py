"""Writes a phantom film as a DICOM file: Digital X-Ray Image, For Presentation (PS3.3 A.26), in five transfer
syntaxes.
"""

import os
import struct
from hashlib import sha256
from typing import BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from trainer.phantom.film.film import PhantomFilm
from trainer.phantom.film.scene import VERSION

SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian, "rle": RLELossless, "jpeg-lossless": JPEGLosslessSV1, "jpeg-ls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
}  # fmt: skip
"""The transfer syntaxes that `write_dicom` knows, by name."""


def write_dicom(
    target: str | os.PathLike[str] | BinaryIO, film: PhantomFilm, transfer_syntax: str = "explicit"
) -> None:
    """Write `film` to a path or binary buffer; the same film gives the same bytes. KeyError for an unknown syntax
    name.
    """
    syntax = SYNTAXES[transfer_syntax]
    dataset = dataset_of(film)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = _uid("implementation")
    dataset.file_meta = meta
    frame = _encode(film.pixels, film.stored.bits, syntax)
    dataset.add_new("PixelData", "OW" if syntax == ExplicitVRLittleEndian else "OB", frame)
    dataset.save_as(target, enforce_file_format=True)


def _uid(*parts: object) -> UID:
    """A UID under 2.25 (PS3.5 B.2) that is a function of its parts."""
    digest = sha256("/".join(["bmd-edge phantom", str(VERSION), *map(str, parts)]).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:15], 'big')}")


def dataset_of(film: PhantomFilm) -> Dataset:
    """The DICOM header of a film, without pixels: patient, study, exposure, spacing, display."""
    header, dataset = film.header, Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = _uid("image", film.spec)
    dataset.StudyInstanceUID = _uid("study", film.spec)
    dataset.SeriesInstanceUID = _uid("series", film.spec)
    dataset.PatientName = f"PHANTOM^{header.patient_id.removeprefix('PHANTOM-')}"
    dataset.PatientID = header.patient_id
    dataset.PatientSex = header.sex
    dataset.PatientAge = f"{header.age_years:03d}Y"
    dataset.PatientBirthDate = f"{int(header.study_date[:4]) - header.age_years}0101"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = header.study_date
    dataset.StudyTime = dataset.ContentTime = "120000"
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber, dataset.AccessionNumber = "1", 1, 1, ""
    dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.Manufacturer, dataset.ManufacturerModelName = header.maker, header.model
    dataset.BodyPartExamined, dataset.ViewPosition = header.body_part, header.view
    dataset.ImageLaterality = header.side
    dataset.PatientOrientation = ["L", "F"]
    _add_exposure(dataset, film)
    _add_image(dataset, film)
    return dataset


def _add_exposure(dataset: Dataset, film: PhantomFilm) -> None:
    header = film.header
    dataset.KVP = header.kvp
    dataset.ExposureInuAs = header.exposure_uas
    dataset.Exposure = round(header.exposure_uas / 1000)
    dataset.ExposureIndex = header.exposure_index
    if header.sid_mm is not None:
        dataset.DistanceSourceToDetector = header.sid_mm
    if header.sod_mm is not None:
        dataset.DistanceSourceToPatient = header.sod_mm
    if header.ermf is not None:
        dataset.EstimatedRadiographicMagnificationFactor = header.ermf
    spacing = [f"{header.pixel_mm:.6g}"] * 2
    if header.spacing_tag in ("imager", "both"):
        dataset.ImagerPixelSpacing = spacing
    if header.spacing_tag in ("pixel", "both"):
        dataset.PixelSpacing = spacing


def _add_image(dataset: Dataset, film: PhantomFilm) -> None:
    stored = film.stored
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, stored.photometric
    dataset.Rows, dataset.Columns = stored.pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        16,
        stored.bits,
        stored.bits - 1,
        0,
    )
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1 if stored.photometric == "MONOCHROME2" else 1
    dataset.PresentationLUTShape = "IDENTITY" if stored.photometric == "MONOCHROME2" else "INVERSE"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "YES", "00"
    if stored.window is not None:
        dataset.WindowCenter, dataset.WindowWidth = stored.window
    if stored.lut is not None:
        item = Dataset()
        entries = stored.lut.size if stored.lut.size < 65536 else 0
        item.add_new("LUTDescriptor", "US", [entries, 0, stored.lut_bits])
        item.add_new("LUTData", "OW", stored.lut.astype("<u2").tobytes())
        item.LUTExplanation = "NORMAL"
        dataset.VOILUTSequence = Sequence([item])


def _encode(pixels: NDArray[np.uint16], bits: int, syntax: UID) -> bytes:
    if syntax == ExplicitVRLittleEndian:
        return pixels.astype("<u2").tobytes()
    if syntax == RLELossless:
        frame: bytes | bytearray = _rle(pixels)
    elif syntax == JPEGLosslessSV1:
        frame = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=bits)
    elif syntax == JPEGLSLossless:
        frame = imagecodecs.jpegls_encode(pixels)
    else:
        frame = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits)
    return encapsulate([bytes(frame)])


def _rle(pixels: NDArray[np.uint16]) -> bytes:
    """DICOM RLE (PS3.5 Annex G): PackBits of each row of the high byte plane, then of the low one."""
    planes = pixels.astype(">u2").view(np.uint8).reshape(*pixels.shape, 2)
    segments = [imagecodecs.packbits_encode(np.ascontiguousarray(planes[..., k])) for k in (0, 1)]
    padded = [s + b"\0" * (len(s) % 2) for s in segments]
    return struct.pack("<16L", 2, 64, 64 + len(padded[0]), *[0] * 13) + b"".join(padded)
