"""Drawn hip films as DICOM, and two function engines that recognize them: the whole screening without a network.

A film is 240 x 270 mm at the hip; a right hip's head center lies 45 mm left of and 50 mm above its middle, a left
hip's mirrored. The drawn finder sees a hip where the neck is brighter than
the soft tissue beside it, and an implant where the head is hollow.
"""

import os
import signal
import time
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import PrecisionCalibration, SiteCalibration
from bmd_edge.bundle.manifest import Manifest, Plausibility, Provenance, Validity
from bmd_edge.bundle.network_input import BMD, FINDER_CLOSEUP, FINDER_SURVEY, InputSpec
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.film import read as read_module
from bmd_edge.hips.landmarks import shape_of
from bmd_edge.hips.region import SCALES
from bmd_edge.screen.jobs import Loaded
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES

CANARY = "CANARY^PATIENT^NAME"
SIZE_MM = (270.0, 240.0)
DETECTOR_MM, MAGNIFICATION = 0.575, 1.15
HEAD_MM = np.array([-45.0, -50.0])  # from the film's middle
RIGHT_MM = np.array([[0, 0], [-20, 12], [-55, 5], [-24, 62], [-42, 88], [-42, 118]], float)
BESIDE_MM = np.array([5.0, 60.0])  # soft tissue medial of the shaft, from the head center
HEAT, EMBEDDING = 128, 4
INPUTS = {"finder_survey": FINDER_SURVEY, "finder_closeup": FINDER_CLOSEUP, "bmd": BMD}
NOTICE = "Networks of tests. Synthetic figures."


def hip_dicom(hips: str = "R", bone: int = 2400, implant: str = "", **header: object) -> bytes:
    """The bytes of a DX film with the hips named ("R", "L" or "RL"); `header` sets or (None) removes elements."""
    data = Dataset()
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.SOPInstanceUID = generate_uid(entropy_srcs=[hips, str(bone), implant, str(header)])
    data.StudyInstanceUID = generate_uid(entropy_srcs=[hips])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[hips, "series"])
    data.Modality, data.PresentationIntentType, data.BodyPartExamined = "DX", "FOR PRESENTATION", "HIP"
    data.PatientName, data.PatientID, data.PatientAge, data.PatientSex = CANARY, "CANARY-ID", "071Y", "F"
    data.Manufacturer, data.ManufacturerModelName, data.KVP, data.ViewPosition = "Drawn", "One", 75, "AP"
    data.ImagerPixelSpacing = [DETECTOR_MM, DETECTOR_MM]
    data.EstimatedRadiographicMagnificationFactor = MAGNIFICATION
    pixels = drawn(hips, bone, implant)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.tobytes()
    for name, value in header.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    file = BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


@cache
def drawn(hips: str, bone: int, implant: str = "") -> np.ndarray:
    """(rows, columns) uint16, 12 bits, bone bright: soft tissue with the outline of a proximal femur."""
    rows, columns = (round(size / DETECTOR_MM * MAGNIFICATION) for size in SIZE_MM)
    image = Image.new("L", (columns, rows), 700 // 16)
    draw = ImageDraw.Draw(image)
    for side in hips:
        points = _film_px(side, rows, columns)
        draw.line([tuple(points[0]), tuple(points[1]), tuple(points[4]), tuple(points[5])], fill=bone // 16, width=64)
        draw.ellipse((*points[0] - 46, *points[0] + 46), fill=bone // 16)
        draw.ellipse((*points[2] - 26, *points[2] + 30), fill=bone // 16)
        if side in implant:
            draw.ellipse((*points[0] - 24, *points[0] + 24), fill=0)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(3)), float) * 16
    noise = np.random.default_rng(len(hips)).normal(0, 40, soft.shape)
    return np.clip(soft + noise, 0, 4095).astype("<u2")


def _film_px(side: str, rows: int, columns: int) -> np.ndarray:
    mm = (HEAD_MM + RIGHT_MM) * ((1, 1) if side == "R" else (-1, 1))
    return mm * MAGNIFICATION / DETECTOR_MM + (columns / 2, rows / 2)


def _gray(image: np.ndarray, point_mm: np.ndarray, spec: InputSpec) -> float:
    """Mean of a few pixels around a point given in mm from the middle of a network input."""
    x, y = np.round(point_mm / spec.spacing_mm + spec.size_px / 2).astype(int)
    return float(image[y - 2 : y + 3, x - 2 : x + 3].mean())


def drawn_finder(inputs: Mapping[str, InputSpec] = INPUTS) -> FunctionEngine:
    """Finds the hips of drawn films: two images are the survey, one for each of `SCALES` are a close-up."""

    def run(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = feeds["image"]
        close = len(images) == len(SCALES)
        spec = inputs["finder_closeup" if close else "finder_survey"]
        # A close-up is centered between head center and lesser trochanter.
        middle = RIGHT_MM + (-(RIGHT_MM[0] + RIGHT_MM[3]) / 2 if close else HEAD_MM)
        heatmaps = np.full((len(images), 6, HEAT, HEAT), -12, np.float32)
        kind = np.zeros((len(images), 6), np.float32)
        down, across = np.mgrid[:HEAT, :HEAT] + 0.5
        for n, (gray,) in enumerate(images):
            points = middle / SCALES[n] if close else middle
            head, neck, beside = (_gray(gray, point, spec) for point in (*points[:2], points[0] + BESIDE_MM))
            if neck - beside < 0.3:
                kind[n, 5] = 8
                continue
            kind[n, 1 if head < beside else 0] = 8
            for k, point in enumerate(points):
                px, py = (point / spec.spacing_mm + spec.size_px / 2) * HEAT / spec.size_px
                heatmaps[n, k] = 8 - 10 * np.minimum(((down - py) ** 2 + (across - px) ** 2) / 4, 2)
        return {"heatmaps": heatmaps, "kind": kind, "embedding": np.ones((len(images), EMBEDDING), np.float32)}

    size = inputs["finder_closeup"].size_px
    outputs = {"heatmaps": (None, 6, HEAT, HEAT), "kind": (None, 6), "embedding": (None, EMBEDDING)}
    return FunctionEngine(
        run,
        {"image": ((None, 1, size, size), "float32")},
        {name: (shape, "float32") for name, shape in outputs.items()},
    )


def drawn_bmd(offset_gcm2: float = 0.4) -> FunctionEngine:
    """BMD that grows with the mean gray of the region of interest; spread 0.03 g/cm2."""

    def run(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        gray = feeds["image"].mean(axis=(1, 2, 3))
        bmd = np.stack([offset_gcm2 + gray, offset_gcm2 + 0.08 + gray], axis=1).astype(np.float32)
        spread = np.full_like(bmd, 0.03)
        return {"bmd": bmd, "spread": spread, "embedding": np.ones((len(gray), EMBEDDING), np.float32)}

    outputs = {"bmd": (None, 2), "spread": (None, 2), "embedding": (None, EMBEDDING)}
    return FunctionEngine(
        run,
        {"image": ((None, 1, BMD.size_px, BMD.size_px), "float32")},
        {name: (shape, "float32") for name, shape in outputs.items()},
    )


def plausibility(embedding: int = EMBEDDING, **numbers: object) -> Plausibility:
    """Limits that every drawn hip meets, but for the `numbers` given; `embedding` is its length."""
    wide = {
        "min_peak": 0.3,
        "max_disagreement_mm": 12.0,
        "min_intact": 0.5,
        "shape_mean": tuple(shape_of(RIGHT_MM).tolist()),
        "shape_precision": _eye(10),
        "max_shape_distance": 50.0,
        "embedding_mean": (0.0,) * embedding,
        "embedding_precision": _eye(embedding),
        "flag_embedding_distance": 500.0,
        "max_embedding_distance": 500.0,
    }
    return Plausibility(**{**wide, **numbers})


def _eye(size: int) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, np.eye(size).tolist()))


def drawn_bundle() -> VerifiedBundle:
    """A bundle without files: what a screener with engines of its own needs to know."""
    manifest = Manifest(
        schema=1,
        version="test",
        files={},
        models={},
        inputs={},
        roi_mm=145.6,
        landmarks=(),
        kinds=(),
        plausibility=plausibility(),
        sites=SITES,
        unit="g/cm2",
        validity=Validity(training_data="nothing", notice=NOTICE),
        provenance=Provenance(
            created="2026-01-01", command="", versions={}, runs={}, calibration_films=None, quantization=None
        ),
        guard={},
    )
    interval = {site: SiteCalibration(1.7, 0.9, 100) for site in SITES}
    calibration = {"fp32": PrecisionCalibration("0" * 64, interval, None)}
    return VerifiedBundle(Path(), manifest, "ab" * 32, calibration, INPUTS)


def drawn_screener(**settings: object) -> Screener:
    """A screener that reads drawn films."""
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd()}
    return Screener(drawn_bundle(), engines=engines, **settings)


class Faulty(Screener):
    """Does to its process, at films whose file name asks for it, what a broken decoder would do."""

    def load(self, source: object) -> Loaded:
        name = Path(source).name if isinstance(source, Path) else ""
        if name.startswith("crash") or (name.startswith("once") and _first_time(Path(source))):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.startswith("deaf"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        while name.startswith(("hang", "deaf")):
            pass
        if name.startswith("slow"):
            time.sleep(0.5)
        return super().load(source)


def _first_time(path: Path) -> bool:
    seen = path.parents[1] / f"{path.name}.seen"
    first = not seen.exists()
    seen.touch()
    return first


def faulty_screener(**settings: object) -> Faulty:
    """A screener that reads drawn films and falls ill at some."""
    return Faulty(drawn_bundle(), engines={"finder": drawn_finder(), "bmd": drawn_bmd()}, **settings)


def screener_without_a_server() -> Faulty:
    """A faulty screener in a process in which no read of a film named "gone..." ever returns."""
    read = read_module.read_bytes

    def hang(path: str, **settings: object) -> bytes:
        while os.path.basename(path).startswith("gone"):
            time.sleep(1)
        return read(path, **settings)

    read_module.read_bytes = hang
    return faulty_screener()


def no_screener(error: Exception) -> Screener:
    """An opener that cannot."""
    raise error
