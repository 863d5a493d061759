"""Networks get what the manifest says, and films are cut as it says."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.network_input import BMD, InputSpec, normalize
from bmd_edge.errors import BundleError
from bmd_edge.film.read import read_film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import Hip
from export.bundle.pack import pack
from tests.bmd_edge.bundle.tampering import change, edit_onnx, prepared
from tests.support.bundles import tiny_parts
from tests.support.screening import HEAD_MM, drawn_finder, hip_dicom, plausibility


def test_inputs_that_differ_from_the_manifest_are_refused(copy: Path) -> None:
    change(copy, lambda m: m["models"]["bmd"]["outputs"]["embedding"].update(shape=[None, 3]))
    with pytest.raises(BundleError, match=r"inputs or outputs of bmd\.int8\.onnx are not those of manifest\.json"):
        read_bundle(copy)


def test_another_preprocessing_is_used_as_the_bundle_states_it(tmp_path: Path) -> None:
    """Networks for other sizes and spacings than those that this version trains: all that is used is in the bundle."""
    finder = {
        name: InputSpec(name, 128, mm, 2.0, 98.0) for name, mm in (("finder_survey", 3.0), ("finder_closeup", 2.0))
    }
    inputs = {**finder, "bmd": InputSpec("bmd", 96, 1.0, 0.0, 100.0, disc_share=0.5)}
    bundle = pack(tmp_path / "b", tiny_parts(tmp_path, inputs=inputs))
    assert bundle.inputs == inputs
    assert bundle.manifest.roi_mm == 96
    film = read_film(hip_dicom("L"))
    with drawn_finder(bundle.inputs) as engine:  # takes no other size, and looks where these spacings put a hip
        (hip,) = find_hips(film, engine, bundle.inputs, plausibility())
    assert isinstance(hip, Hip)
    assert hip.box_px[2:] == pytest.approx((96 / film.spacing_mm[1], 96 / film.spacing_mm[0]))
    head = (HEAD_MM * (-1, 1) / film.spacing_mm[0]) + np.array(film.shape[::-1]) / 2
    assert hip.landmarks_px["head_center"] == pytest.approx(head, abs=2 / film.spacing_mm[0])


def test_a_network_may_say_nothing_of_its_preprocessing(copy: Path) -> None:
    def silent(model: onnx.ModelProto) -> None:
        said = {entry.key: entry.value for entry in model.metadata_props if entry.key != "inputs"}
        onnx.helper.set_model_props(model, said)

    edit_onnx(silent, "finder.onnx")(copy)
    prepared("finder_survey", spacing_mm=1.7)(copy)
    assert read_bundle(copy).inputs["finder_survey"].spacing_mm == 1.7


def test_a_region_outside_the_film_is_black_and_a_flat_one_too():
    region = np.full((112, 112), np.nan, np.float32)
    assert not normalize(region, BMD).any()
    assert not normalize(np.full_like(region, 0.5), BMD).any()
    region[:, 50:] = np.linspace(0.2, 0.4, 62, dtype=np.float32)
    scaled = normalize(region, BMD)
    assert not scaled[0, :, :50].any()
    assert scaled.max() == 1
    with pytest.raises(ValueError, match="112 x 112"):
        normalize(region[:100], BMD)


HIP = InputSpec("bmd", 112, 1.3, 1.0, 99.0, disc_share=0.6)


def hip_like() -> np.ndarray:
    """A bright disk with grain on soft tissue with less of it."""
    rng = np.random.default_rng(0)
    steps = np.arange(112) - 55.5
    bone = np.hypot(steps, steps[:, None]) < 25
    return (0.3 + 0.4 * bone + rng.normal(0, 0.03, (112, 112))).astype(np.float32)


@pytest.mark.parametrize("level", [1.5, -0.5, np.nan])
def test_what_lies_beside_a_hip_does_not_move_its_levels(level: float) -> None:
    """A beam's edge and a label move the percentiles of the whole square, not those of the disc."""
    plain, covered = hip_like(), hip_like()
    covered[:, 94:] = level
    covered[:30, :20] = level
    middle = np.s_[0, 30:80, 30:80]
    assert np.array_equal(normalize(covered, HIP)[middle], normalize(plain, HIP)[middle])
    if np.isfinite(level):
        assert np.abs(normalize(covered, BMD)[middle] - normalize(plain, BMD)[middle]).max() > 0.1


def test_one_level_inside_the_disc_says_nothing_of_the_hip() -> None:
    plain, covered = hip_like(), hip_like()
    covered[40:60, 75:85] = 3.0  # burned in, at the edge of the disc
    away = np.s_[0, 30:80, 30:70]
    assert normalize(covered, HIP)[away] == pytest.approx(normalize(plain, HIP)[away], abs=0.02)
    cut = np.minimum(plain, 0.7)  # half of the bone cut off by a window: what is left still spans the range
    assert normalize(cut, HIP).max() == 1
    assert not normalize(np.full((112, 112), 0.4, np.float32), HIP).any()
    empty = np.full((112, 112), np.nan, np.float32)
    empty[:10] = np.linspace(0, 1, 112, dtype=np.float32)
    assert normalize(empty, HIP).max() == 1  # nothing of the film in the disc


def test_old_inputs_keep_their_fingerprint() -> None:
    assert BMD.fingerprint() == "717be835492f6034"  # of bundles from before there was a disc
    assert HIP.fingerprint() != BMD.fingerprint()
    with pytest.raises(ValueError, match="disc"):
        InputSpec("bmd", 112, 1.3, 1.0, 99.0, disc_share=1.5)
