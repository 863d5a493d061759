"""The bundle and the demo films that ship. No test pins an estimate; it must lie near the phantom's truth."""

import json
from pathlib import Path

import pydicom
import pytest

import bmd_edge
from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.error_budget import LIMITS, broken
from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.bundle.network_input import BMD, FINDER_CLOSEUP, FINDER_SURVEY
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.screen.screener import Screener
from bmd_edge.sites import SITES
from trainer.phantom.cohort.demo import FILMS
from trainer.phantom.film.dxa_label import true_bmd
from trainer.phantom.film.scene import scene_of

DATA = Path(bmd_edge.__file__).parent / "data"
DEMO = json.loads((DATA / "demo.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundle() -> VerifiedBundle:
    return read_bundle()


@pytest.fixture(scope="module")
def screener(bundle):
    with Screener(bundle, device="cpu", threads=1) as opened:
        yield opened


def test_the_bundle_is_whole(bundle):
    assert bundle.manifest.landmarks == LANDMARKS
    assert bundle.manifest.kinds == KINDS
    assert bundle.manifest.sites == SITES
    finder = {name: spec for name, spec in bundle.inputs.items() if name != "bmd"}
    assert finder == {"finder_survey": FINDER_SURVEY, "finder_closeup": FINDER_CLOSEUP}
    assert bundle.inputs["bmd"].side_mm == pytest.approx(BMD.side_mm)


def test_every_model_gives_its_golden_outputs(bundle):
    tested = 0
    for model in bundle.manifest.models:
        for precision in bundle.precisions(model):
            with open_engine(bundle, model, device="cpu", precision=precision, threads=1) as engine:
                self_test(bundle, model, engine)
                tested += 1
    assert tested >= 3  # the finder, and BMD in fp32 and int8


def test_int8_passed_its_guard_on_hips_that_chose_nothing(bundle):
    card = (bundle.root / "MODEL_CARD.md").read_text(encoding="utf-8")
    films = bundle.manifest.provenance.calibration_films
    for site in SITES:
        guard = bundle.manifest.guard["int8"][site]
        assert guard.passed
        assert guard.limits == LIMITS
        assert broken(guard) == []
        assert guard.n == films.guard_hips >= 1000
        assert f"{guard.mean_shift_gcm2:+.4f}" in card
        assert f"{guard.p99_shift_gcm2:.4f}" in card
    assert "| verdict | passed | passed |" in card
    assert len(films.films_sha256) == 64


def test_the_card_says_how_int8_was_made(bundle):
    made = bundle.manifest.provenance.quantization
    assert made.range_method in (bundle.root / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert len(made.layers_fp32) <= made.layers / 2


def test_every_check_of_plausibility_is_on(bundle):
    numbers = bundle.manifest.plausibility
    assert 0 < numbers.max_shape_distance < 100
    assert numbers.flag_embedding_distance < numbers.max_embedding_distance < 1000


def test_the_card_says_phantom_and_research(bundle):
    card = (bundle.root / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "digital hip phantom, never on patients" in card
    assert "Research use only, not for diagnosis" in card


def test_every_output_says_phantom(bundle):
    # the notice is in each of them, beside the sentence on research use
    assert "digital hip phantom, never on patients" in bundle.manifest.validity.notice


def test_the_shipped_data_stays_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 30e6


@pytest.mark.parametrize("name", sorted(DEMO))
def test_demo_films_get_their_expected_outcome(screener, name):
    report = screener.read(DATA / "demo" / name)
    assert (report.status, report.reason) == (DEMO[name]["status"], DEMO[name]["reason"])
    outcome = {hip.side: hip.reason or hip.status for hip in report.hips}
    assert outcome == DEMO[name]["hips"]
    for hip in report.hips:
        assert bool(hip.estimates) is (hip.status == "read")
        for estimate in hip.estimates:
            assert estimate.low_gcm2 < estimate.bmd_gcm2 < estimate.high_gcm2


READ = [(name, site) for name in sorted(DEMO) if DEMO[name]["status"] == "read" for site in SITES]


@pytest.mark.parametrize(("name", "site"), READ)
def test_estimates_of_demo_films_lie_near_the_truth(screener, name, site):
    femora = scene_of(FILMS[name].spec).subject.femora
    for hip in screener.read(DATA / "demo" / name).hips:
        (estimate,) = [one for one in hip.estimates if one.site == site]
        assert estimate.bmd_gcm2 == pytest.approx(true_bmd(femora[hip.side])[site], abs=0.1)


def test_the_demo_covers_what_it_promises():
    from bmd_edge.dicom.header import read_header

    headers = [read_header((DATA / "demo" / name).read_bytes())[0] for name in DEMO]
    assert len({header.transfer_syntax for header in headers}) == len(DEMO) >= 5
    photometric = [header.text(0x00280004) for header in headers]
    assert "MONOCHROME1" in photometric
    assert "MONOCHROME2" in photometric
    assert any(film["reason"] == "implant" for film in DEMO.values())
    assert any(set(film["hips"]) == {"R", "L"} for film in DEMO.values())


@pytest.mark.parametrize("name", sorted(DEMO))
def test_a_film_of_the_wrong_polarity_gets_no_number(screener, name):
    film = pydicom.dcmread(DATA / "demo" / name)
    turned = film.PhotometricInterpretation == "MONOCHROME2"
    film.PhotometricInterpretation = "MONOCHROME1" if turned else "MONOCHROME2"
    film.PresentationLUTShape = "INVERSE" if turned else "IDENTITY"
    report = screener.read(film)
    assert report.status == "refused"
    assert report.reason in ("not_a_hip", "not_measurable", "implant")
