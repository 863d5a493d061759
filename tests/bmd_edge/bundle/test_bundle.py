"""Opening a bundle, wherever it lies."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import BundleError
from bmd_edge.report.film_report import flags_of
from bmd_edge.screen.screener import Screener
from tests.bmd_edge.bundle.tampering import flip_byte
from tests.support.bundles import tiny_bundle
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder, hip_dicom


def test_a_whole_bundle_opens(whole: Path) -> None:
    bundle = read_bundle(whole)
    assert bundle.digest == hashlib.sha256((whole / "manifest.json").read_bytes()).hexdigest()
    assert bundle.precisions("bmd") == ("fp32", "int8")
    assert bundle.inputs["bmd"] == BMD
    assert bundle.calibration["int8"].sites["total_hip"].scale == 1.7
    assert bundle.manifest.models["bmd"].outputs["bmd"].shape == (None, 2)
    assert {array.dtype for array in bundle.golden().values()} == {np.dtype(np.float32)}


def test_a_bundle_can_be_moved(copy: Path, whole: Path) -> None:
    assert read_bundle(copy).digest == read_bundle(whole).digest


def test_a_missing_bundle_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="bmd-edge export"):
        read_bundle(tmp_path / "nowhere")


def test_a_model_changed_after_opening_is_not_parsed(copy: Path) -> None:
    bundle = read_bundle(copy)
    flip_byte(copy)
    with pytest.raises(BundleError, match="hash"):
        open_engine(bundle, "bmd", device="cpu", precision="fp32")


def test_a_bundle_without_int8_opens(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", int8=False)
    assert bundle.precisions("bmd") == ("fp32",)
    with open_engine(bundle, "bmd", device="cpu") as engine:
        assert engine.precision == "fp32"
    with pytest.raises(BundleError, match="no int8 bmd"):
        bundle.model_path("bmd", "int8")


def test_a_bundle_of_one_makers_films_says_so_of_the_others() -> None:
    bundle = drawn_bundle()
    assert bundle.flags("Acme") == bundle.flags(None) == ()
    validity = dataclasses.replace(bundle.manifest.validity, makers=("ACME Medical", "Acme"))
    bundle = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, validity=validity))
    assert bundle.flags("acme medical") == bundle.flags("Acme") == ()
    assert bundle.flags("Drawn") == bundle.flags(None) == ("other_maker",)
    with Screener(bundle, engines={"finder": drawn_finder(), "bmd": drawn_bmd()}) as screener:
        (hip,) = screener.read(hip_dicom("R")).hips
    assert "other_maker" in flags_of(hip)
