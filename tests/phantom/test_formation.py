"""Films of the phantom: purity, texture mass, displayed pixels, DICOM in every syntax, and what a film may not give
away.
"""

import io
from dataclasses import fields, replace
from hashlib import sha256

import numpy as np
import pydicom
import pytest

from bmd_edge.film.read import read_film
from bmd_edge.table.film_table import HipRow
from trainer.phantom.beam.beam import Exposure, Masses, displaced, spectrum, transmission
from trainer.phantom.beam.texture import TextureLook, textured
from trainer.phantom.body.anatomy import Subject
from trainer.phantom.film import scene
from trainer.phantom.film.film import film
from trainer.phantom.film.header_facts import draw_header
from trainer.phantom.film.maker_styles import STYLES, random_style, style_of
from trainer.phantom.film.markers import Letter, _glyph
from trainer.phantom.film.scene import CASES, FilmSpec
from trainer.phantom.film.stored_pixels import store
from trainer.phantom.film.write_dicom import SYNTAXES, write_dicom
from trainer.phantom.judge.check import independence_rows, landmark_errors_px, shell_error, texture_error
from trainer.phantom.shapes.coarse_grid import block_mean, upsample
from trainer.phantom.shapes.ray_march import Geometry

SMALL = {"pixel_mm": 1.0}


@pytest.fixture(scope="module")
def hip():
    return film(FilmSpec(7, **SMALL))


def test_a_film_is_a_pure_function_of_its_spec(hip):
    again = film(FilmSpec(7, **SMALL))
    assert np.array_equal(hip.pixels, again.pixels)
    assert hip.header == again.header
    assert hip.hips == again.hips
    assert not np.array_equal(
        hip.pixels, film(FilmSpec(8, **SMALL)).pixels[: hip.pixels.shape[0], : hip.pixels.shape[1]]
    )


def test_label_noise_and_film_noise_never_share_draws(hip):
    other_film = film(FilmSpec(12345, subject_seed=7, style="A", **SMALL))
    assert other_film.hips[0].label_bmd_gcm2 == hip.hips[0].label_bmd_gcm2
    assert other_film.hips[0].true_bmd_gcm2 == hip.hips[0].true_bmd_gcm2
    assert other_film.hips[0].landmarks_px != hip.hips[0].landmarks_px
    assert hip.hips[0].label_bmd_gcm2 != hip.hips[0].true_bmd_gcm2


def test_the_style_changes_the_pixels_and_nothing_else():
    a, h = (film(FilmSpec(7, style=s, **SMALL)) for s in "AH")
    assert a.hips == h.hips
    assert a.pixels.shape == h.pixels.shape
    assert np.abs(a.bone_bright() - h.bone_bright()).mean() > 0.02


@pytest.mark.parametrize("case", CASES)
def test_every_case_makes_a_film_with_its_kind(case):
    made = film(FilmSpec(21, case=case, pose="wide", **SMALL))
    shown = made.bone_bright()
    assert shown.dtype == np.float32
    assert 0.0 <= shown.min() < shown.max() <= 1.0
    if case == "not_a_hip":
        assert made.hips == ()
        return
    mine = made.hips[0]
    assert mine.side == "R"
    assert mine.kind == ("intact" if case == "cut_off" else case)
    assert (mine.label_bmd_gcm2 is None) == (mine.kind != "intact")
    assert mine.cut_off or case != "cut_off"


@pytest.mark.parametrize("seed", range(4))
def test_a_good_film_holds_its_landmarks(seed):
    for spec in (FilmSpec(seed, pose="wide", **SMALL), FilmSpec(seed, kind="pelvis", pose="wide", **SMALL)):
        made = film(spec)
        rows, cols = made.pixels.shape
        assert len(made.hips) >= (2 if spec.kind == "pelvis" else 1)
        for one in made.hips if spec.kind == "pelvis" else made.hips[:1]:
            assert not one.cut_off
            for name in ("head_center", "neck_center", "greater_trochanter", "lesser_trochanter"):
                x, y = one.landmarks_px[name]
                assert 0 <= x <= cols
                assert 0 <= y <= rows


def test_a_roi_window_shows_the_same_hip_as_its_film():
    whole = film(FilmSpec(5, style="C", pixel_mm=0.8))
    window = film(FilmSpec(5, style="C", pixel_mm=0.8, region="roi"))
    shift = np.subtract(whole.hips[0].landmarks_px["head_center"], window.hips[0].landmarks_px["head_center"])
    for name, point in whole.hips[0].landmarks_px.items():
        assert np.subtract(point, window.hips[0].landmarks_px[name]) == pytest.approx(shift, abs=1e-6)
    left, top = (round(float(v)) for v in shift)
    y, x = (round(v) for v in window.hips[0].landmarks_px["neck_center"][::-1])
    near = lambda f, dx, dy: f.bone_bright()[y + dy - 20 : y + dy + 20, x + dx - 20 : x + dx + 20].ravel()  # noqa: E731
    assert np.corrcoef(near(whole, left, top), near(window, 0, 0))[0, 1] > 0.97


def test_texture_keeps_the_mass():
    assert abs(texture_error(1)) < 5e-4
    rng = np.random.default_rng(0)
    mass = np.zeros((200, 150), np.float32)
    mass[40:160, 30:120] = 0.3
    out = textured(mass, TextureLook.draw(rng, 0.0), None, 0.3, rng)
    assert out.sum(dtype=float) == pytest.approx(mass.sum(dtype=float), rel=1e-5)
    assert 0.04 < out[60:140, 50:100].std() / 0.3 < 0.25
    assert (out[mass == 0] == 0).all()


def test_mass_of_a_known_shell():
    assert abs(shell_error(pixel_mm=0.5)) < 0.005


def test_silhouette_landmarks_lie_on_the_shadow():
    found = [landmark_errors_px(seed, 0.5) for seed in range(20, 29)]
    assert np.median([abs(f["greater_trochanter"]) for f in found]) < 1.0
    assert np.median([abs(f["lesser_trochanter"]) for f in found]) < 1.0


def _slab(tissue_cm: float, mineral: float = 0.0) -> Masses:
    one = np.ones((1, 1), np.float32)
    left, marrow = displaced(mineral * one, 0 * one, 0 * one, tissue_cm * one)
    return Masses(mineral * one, 0 * one, left, 0 * one, marrow)


def test_beer_lambert_of_a_slab():
    log = lambda masses, kvp: -float(np.log(transmission(masses, kvp, 0.6)[0, 0]))  # noqa: E731
    assert 0.19 < log(_slab(19), 75) - log(_slab(18), 75) < 0.26
    per_gram = {kvp: log(_slab(18, 1.0), kvp) - log(_slab(18), kvp) for kvp in (70, 75, 85)}
    assert 0.40 < per_gram[75] < 0.58
    assert -0.27 < per_gram[85] / per_gram[70] - 1 < -0.12
    assert spectrum(75)[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert transmission(_slab(0.0), 75, 0.6)[0, 0] == pytest.approx(1.0, abs=1e-4)


def test_header_and_exposure_do_not_read_the_bone(monkeypatch, hip):
    """The same film of a subject whose femora hold a quarter more mineral: another label, the same header."""
    subject = Subject.draw(7)
    denser = {
        side: replace(
            femur,
            **{name: getattr(femur, name) * 1.25 for name in vars_of(femur) if name.endswith(("gcm3", "cortex_mm"))},
        )
        for side, femur in subject.femora.items()
    }
    monkeypatch.setattr(scene, "_subject", lambda *_: replace(subject, femora=denser, latent_b=9.0))
    other = film(FilmSpec(7, **SMALL))
    assert other.hips[0].true_bmd_gcm2["femoral_neck"] > 1.15 * hip.hips[0].true_bmd_gcm2["femoral_neck"]
    assert other.header == hip.header
    assert other.hips[0].landmarks_px["head_center"] == pytest.approx(hip.hips[0].landmarks_px["head_center"], abs=0.1)


def vars_of(femur) -> list[str]:
    return [field.name for field in fields(femur)]


def table_rows(leak: float) -> list[HipRow]:
    """Rows of 300 hips; with a leak, one maker films the denser ones."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(300):
        bmd = float(rng.normal(0.7, 0.14))
        maker = "A" if leak * (bmd - 0.7) + rng.normal(0, 0.1) > 0 else "B"
        extra = {"x_maker_style": maker, "x_seed": str(int(rng.integers(2**40)))}
        rows.append(
            HipRow(film=f"{index}.png", subject=str(index), side="RL"[index % 2], split="train",
                   bmd_gcm2={"femoral_neck": bmd, "total_hip": bmd}, extra=extra)
        )  # fmt: skip
    return rows


def test_the_check_sees_a_maker_that_gives_the_bone_away():
    (clean,), (leaking,) = (list(independence_rows(table_rows(leak))) for leak in (0.0, 0.3))
    assert clean.ok
    assert leaking.ok is False
    assert "worst: A" in leaking.name or "worst: B" in leaking.name


@pytest.mark.parametrize("seed", range(12))
def test_stored_pixels_show_what_was_meant(seed):
    shown = np.linspace(-0.1, 1.1, 4000, dtype=np.float32).reshape(40, 100)
    stored = store(shown, np.random.default_rng(seed))
    assert stored.pixels.max() < 2**stored.bits
    assert np.abs(stored.bone_bright() - np.clip(shown, 0, 1)).max() < 4 / 2**10


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_dicom_reads_back_in_every_syntax(hip, syntax):
    buffer = io.BytesIO()
    write_dicom(buffer, hip, syntax)
    data = buffer.getvalue()
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    assert str(dataset.PatientName).startswith("PHANTOM^")
    if syntax in ("explicit", "rle"):
        assert np.array_equal(dataset.pixel_array, hip.pixels)
    seen = read_film(data)
    rows, cols = seen.shape
    assert np.abs(seen.region(0, 0, cols, rows, (rows, cols)) - hip.bone_bright()).max() < 1e-3
    assert seen.side == "R"
    assert seen.view == "AP"


def test_dicom_bytes_are_stable_and_uids_valid(hip):
    files = []
    for _ in range(2):
        buffer = io.BytesIO()
        write_dicom(buffer, hip)
        files.append(sha256(buffer.getvalue()).hexdigest())
    assert files[0] == files[1]
    dataset = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    uids = {dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID}
    assert len(uids) == 3
    assert all(uid.is_valid for uid in uids)


def test_headers_state_the_magnification_only_sometimes():
    subject, view = Subject.draw(1), Geometry.centered((0.0, 0.0), (300.0, 200.0), 0.3)
    exposure = Exposure.draw(np.random.default_rng(1), 25.0, 60.0)
    facts = {"side": "R", "body_part": "HIP", "view": "AP", "seed": "1", "subject": "1"}
    headers = [draw_header(np.random.default_rng(k), subject, exposure, view, STYLES["A"], facts) for k in range(40)]
    assert {h.ermf is None for h in headers} == {True, False}
    assert {h.sod_mm is None for h in headers} == {True, False}
    assert len({h.spacing_tag for h in headers}) >= 2
    stated = [h for h in headers if h.ermf is None and h.sid_mm is not None and h.sod_mm is not None]
    for header in stated:
        assert header.believed_spacing_mm == pytest.approx(header.pixel_mm * header.sod_mm / header.sid_mm)
    assert stated


def test_styles_are_eight_and_random_ones_differ():
    assert list(STYLES) == list("ABCDEFGH")
    rng = np.random.default_rng(1)
    drawn = [random_style(rng) for _ in range(50)]
    assert len({s.base for s in drawn}) == 50
    with pytest.raises(KeyError, match="no maker"):
        style_of("Z")


def test_unknown_words_are_refused():
    for bad in ({"kind": "knee"}, {"case": "odd"}, {"pose": "x"}, {"region": "all"}, {"side": "left"}):
        with pytest.raises(ValueError, match="unknown"):
            film(replace(FilmSpec(1), **bad))


def test_grid_round_trip():
    ramp = np.add.outer(np.arange(40.0), np.arange(60.0)).astype(np.float32)
    coarse = block_mean(ramp, 4)
    assert coarse.shape == (10, 15)
    assert np.abs(upsample(coarse, ramp.shape, 4) - ramp)[4:-4, 4:-4].max() < 1e-3


def test_letters_are_drawn_upright():
    glyph = _glyph(Letter("L", (0, 0), 20.0, 0.0, False, 1.0), 0.5)
    rows = np.flatnonzero(glyph.any(axis=1))
    assert glyph[rows[-3]].sum() > 2 * glyph[rows[2]].sum()
