"""Real films and odd DICOM of other makers, kept beside the project: `BMD_EDGE_REAL_FILMS`, or ../shared/fixtures."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.dicom.header import read_header
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import FilmRefused
from bmd_edge.film.gray import read_display
from bmd_edge.film.read import read_film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import Hip
from bmd_edge.pixels.decode import decode
from bmd_edge.pixels.layout import PixelLayout

ROOT = Path(os.environ.get("BMD_EDGE_REAL_FILMS", Path(__file__).parents[3] / ".." / "shared" / "fixtures"))

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason=f"NO REAL FILMS: {ROOT} is absent, nothing real is tested; set BMD_EDGE_REAL_FILMS"
)

RG2 = ["RG2_J2KR", "RG2_JLSL", "RG2_JPLL", "RG2_RLE"]
UNCERTAIN = {"spacing_uncertain", "magnification_assumed", "view_unknown"}

EXPECTED = {
    "dcm4che/no_preamble_dicm_in_data": "broken_dicom",
    "dcm4che/test16signed.dcm": "wrong_body_part",
    "fo_dicom/CR-ModalitySequenceLUT.dcm": "wrong_body_part",
    "pydicom_odd/ExplVR_LitEndNoMeta.dcm": "not_dicom",
    "pydicom_odd/HTJ2KLossless_08_RGB.dcm": "not_grayscale",
    "pydicom_odd/JLSL_16_15_1_1F.dcm": "no_spacing",
    "pydicom_odd/MR_truncated.dcm": "truncated",
    "pydicom_odd/SC_rgb.dcm": "not_grayscale",
    "pydicom_odd/SC_rgb_16bit.dcm": "not_grayscale",
    "pydicom_odd/image_dfl.dcm": "no_spacing",
    "pydicom_odd/meta_missing_tsyntax.dcm": "broken_dicom",
    "pydicom_odd/mlut_18.dcm": "no_spacing",
    "pydicom_odd/no_meta.dcm": "not_dicom",
    "pydicom_odd/vlut_04.dcm": "no_spacing",
    "pylibjpeg_data/966_fixed.dcm": "wrong_body_part",
    "pylibjpeg_data/JPEGLosslessP14SV1_1s_1f_u_16_16.dcm": "no_spacing",
    "pylibjpeg_data/NM_Kakadu44_SOTmarkerincons.dcm": "wrong_body_part",
    "pylibjpeg_data/OsirixFake16BitsStoredFakeSpacing.dcm": "inconsistent_pixels",
    "wg04_radiographs/RG1_JLSN.dcm": "wrong_body_part",
    "wg04_radiographs/RG2_J2KR.dcm": None,
    "wg04_radiographs/RG2_JLSL.dcm": None,
    "wg04_radiographs/RG2_JPLL.dcm": None,
    "wg04_radiographs/RG2_JPLY_fixed.dcm": None,
    "wg04_radiographs/RG2_RLE.dcm": None,
    "wg04_radiographs/RG3_J2KR.dcm": "immature",
    "wg04_radiographs/RG3_JPLL.dcm": "immature",
    "ddh_infant_pelvis_ccby/": "not_grayscale",
}


def expected(name):
    """The code by name; any other DICOM is a CT, MR, NM, US, SR, SEG, RT dose, mammogram or angiogram."""
    for key, code in EXPECTED.items():
        if name == key or (key.endswith("/") and name.startswith(key) and name.endswith(".dcm")):
            return code
    return "not_radiograph" if name.endswith(".dcm") else "not_dicom"


def outcome(path):
    try:
        return read_film(path)
    except FilmRefused as refused:
        return refused.code


def test_every_file_gets_its_code():
    found = {str(path.relative_to(ROOT)): outcome(path) for path in sorted(ROOT.rglob("*")) if path.is_file()}
    codes = {name: got if isinstance(got, str) else None for name, got in found.items()}
    assert codes == {name: expected(name) for name in found}


def test_the_real_hip_is_the_same_in_four_lossless_syntaxes():
    hips = [read_film(ROOT / "wg04_radiographs" / f"{name}.dcm") for name in RG2]
    for name, film in zip(RG2, hips, strict=True):
        assert film.shape == (2140, 1760)
        assert set(film.flags) == UNCERTAIN | (
            {"secondary_image"} if name == "RG2_RLE" else set()
        )  # Image Type says so
        assert film.spacing_mm == pytest.approx((0.2 / 1.15, 0.2 / 1.15))
        assert film.spacing_source == "pixel_spacing_assumed"
        np.testing.assert_array_equal(film.stored, hips[0].stored)
        np.testing.assert_array_equal(film.lookup, hips[0].lookup)


def test_the_lossy_twin_is_close_and_flagged():
    lossy = read_film(ROOT / "wg04_radiographs" / "RG2_JPLY_fixed.dcm")
    assert "lossy_compression" in lossy.flags
    lossless = read_film(ROOT / "wg04_radiographs" / "RG2_RLE.dcm")
    assert np.abs(lossy.stored.astype(int) - lossless.stored).mean() < 10


def test_a_modality_lut_of_a_real_cr_is_applied():
    """A film of teeth, so only its table is looked at: MONOCHROME1, 1024 entries."""
    header, _ = read_header((ROOT / "fo_dicom" / "CR-ModalitySequenceLUT.dcm").read_bytes())
    display = read_display(header, False, np.ones(1024, np.intp))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(ROOT / "fo_dicom" / "CR-ModalitySequenceLUT.dcm")
    shown = apply_modality_lut(np.arange(1024), made).astype(float)
    np.testing.assert_allclose(display.lookup, 1 - (shown - shown.min()) / np.ptp(shown), atol=1e-6)


def header_and_frame(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(path)
    syntax = made.file_meta.TransferSyntaxUID
    frame = get_frame(made.PixelData, 0, number_of_frames=1) if syntax.is_encapsulated else made.PixelData
    layout = PixelLayout(
        made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit, bool(made.PixelRepresentation)
    )
    return syntax, frame, layout


def test_one_ct_slice_in_every_syntax():
    """The bytes of one image: nine lossless encodings agree, the lossy ones come close."""
    folder = ROOT / "cornerstone_wado"
    plain = decode(*header_and_frame(folder / "CTImage.dcm"))
    assert plain.min() == -2000
    for path in sorted(folder.glob("CTImage.dcm_*")):
        syntax, frame, layout = header_and_frame(path)
        if syntax.endswith((".53", ".55")):  # retired JPEG processes
            with pytest.raises(FilmRefused, match="unsupported_syntax"):
                decode(syntax, frame, layout)
        elif syntax.endswith((".50", ".51")):  # rescaled by their maker
            assert decode(syntax, frame, layout).shape == plain.shape
        else:
            tolerance = 5 if syntax.endswith((".81", ".91")) else 0
            assert np.abs(decode(syntax, frame, layout).astype(int) - plain).max() <= tolerance, path.name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OsirixFake16BitsStoredFakeSpacing.dcm", "inconsistent_pixels"),
        ("TOSHIBA_J2K_SIZ0_PixRep1.dcm", "inconsistent_pixels"),
    ],
)
def test_codestreams_that_common_stacks_decode_wrongly_are_refused(name, code):
    with pytest.raises(FilmRefused) as caught:
        decode(*header_and_frame(ROOT / "pylibjpeg_data" / name))
    assert caught.value.code == code


IN_DOUBT = ("wrong_view", "not_measurable")
"""What may be said of a sound hip whose leg is turned out."""


@pytest.fixture(scope="module")
def finder():
    """The embedded finder with the numbers of its bundle."""
    bundle = read_bundle()
    with open_engine(bundle, "finder", device="cpu", precision="fp32", threads=1) as engine:
        yield lambda film: find_hips(film, engine, bundle.inputs, bundle.manifest.plausibility)


def test_screening_all_of_them_gives_each_file_one_coded_object(tmp_path):
    command = [sys.executable, "-m", "bmd_edge.cli.main", "screen", str(ROOT), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    reports = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    got = {report["file"]: report for report in reports}
    assert len(got) == len(reports)
    assert set(got) == {str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()}
    for name, report in got.items():
        code = expected(name)
        if code is not None:
            assert report["status"] in ("refused", "left_out"), name
            assert report["reason"] == code, name
            assert not any(hip["estimates"] for hip in report["hips"]), name
    hips = [[(h["side"], h["status"], h["reason"], h["estimates"]) for h in got[f"wg04_radiographs/{n}.dcm"]["hips"]]
            for n in RG2]  # fmt: skip
    assert hips[0]
    assert hips == hips[:1] * 4
    for _, status, reason, _ in hips[0]:
        assert status == "read" or reason in IN_DOUBT


def test_the_real_hip_is_found_by_the_finder(finder):
    """A hip with its leg turned out: it gets a number with a flag, is a wrong view, or is in doubt."""
    for hip in finder(read_film(ROOT / "wg04_radiographs" / "RG2_RLE.dcm")):
        assert hip.flags if isinstance(hip, Hip) else hip.code in IN_DOUBT


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "ddh_infant_pelvis_ccby").glob("*.dcm")))
def test_a_gray_infant_pelvis_is_refused_by_the_finder_itself(finder, name):
    """The films of infants are color and without a scale; made gray and given 0.45 mm a pixel, only the finder
    stands between them and a number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        color = pydicom.dcmread(ROOT / "ddh_infant_pelvis_ccby" / name)
        gray = color.pixel_array.mean(axis=2).round().astype(np.uint8)
    color.PhotometricInterpretation, color.SamplesPerPixel, color.PixelData = "MONOCHROME2", 1, gray.tobytes()
    color.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    del color.PlanarConfiguration
    try:
        codes = {hip.code if not isinstance(hip, Hip) else "read" for hip in finder(read_film(color, spacing_mm=0.45))}
    except FilmRefused as refused:
        codes = {refused.code}
    assert codes <= {"immature", "not_a_hip", "not_measurable", "hip_not_found"}
