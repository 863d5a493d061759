"""Films from odd but valid bytes: the right pixels with the right facts, or a coded refusal, never a printed word."""

import io
import itertools
import logging
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pydicom
import pytest

from bmd_edge.dicom.header import read_header
from bmd_edge.errors import FLAGS, REFUSALS, FilmFailed, FilmRefused, UsageError
from bmd_edge.film.film import Film, film_id
from bmd_edge.film.read import check_source, read_bytes, read_film
from bmd_edge.film.scale import read_scale
from tests.support import films, odd_films

CASES = odd_films.cases()
FILE_CODES = {
    "empty_file", "not_dicom", "truncated", "broken_dicom", "no_pixels", "not_radiograph", "not_for_presentation",
    "not_grayscale", "multi_frame", "too_large", "unsupported_syntax", "unsupported_depth", "decode_failed",
    "pixel_length", "inconsistent_pixels", "wrong_body_part", "wrong_view", "no_spacing", "implausible_scale",
    "poor_exposure", "immature",
}  # fmt: skip


def flags_of(**elements):
    return set(read_film(films.dicom_bytes(**elements)).flags)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_named_film_gets_its_outcome(case):
    if case.code is None:
        film = read_film(case.data)
        assert case.flags <= set(film.flags) <= set(FLAGS)
    else:
        with pytest.raises(FilmRefused) as caught:
            read_film(case.data)
        assert caught.value.code == case.code


def test_every_refusal_of_a_film_has_a_case_and_most_cases_are_accepted():
    assert {case.code for case in CASES if case.code} == FILE_CODES <= set(REFUSALS)
    assert sum(case.code is None for case in CASES) > 50
    assert len({case.name for case in CASES}) == len(CASES)


def _burnt():
    frame = np.full((120, 90), 4095, np.uint16)
    frame[:2] = 0
    return frame


CHECKS = {
    "not_for_presentation": {"PresentationIntentType": "FOR PROCESSING"},
    "not_radiograph": {"Modality": "CT"},
    "not_grayscale": {"PhotometricInterpretation": "PALETTE COLOR"},
    "multi_frame": {"NumberOfFrames": "2"},
    "too_large": {"Rows": 60_000, "Columns": 60_000},
    "unsupported_syntax": {"syntax": b"1.2.840.10008.1.2.9\0"},
    "wrong_body_part": {"BodyPartExamined": "CHEST"},
    "wrong_view": {"ViewPosition": "LL"},
    "immature": {"PatientAge": "010Y"},
    "no_spacing": {"ImagerPixelSpacing": None},
    "out_of_memory": {"most_bytes": 1000},
    "broken_dicom": {"syntax": b"1.2.840.10008.1.2.5\0"},  # encapsulated, which the pixel data are not
    "unsupported_depth": {"BitsStored": 7, "HighBit": 6},
    "pixel_length": {"Rows": 121},
    "poor_exposure": {"frame": _burnt()},
}
"""What each check refuses, in the order of the checks."""


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(CHECKS, 2)])
def test_of_two_reasons_the_one_that_is_checked_first_is_told(first, second):
    elements = CHECKS[second] | CHECKS[first]
    syntax, most_bytes = elements.pop("syntax", None), elements.pop("most_bytes", None)
    data = films.dicom_bytes(**elements)
    if syntax:
        data = films.patched(data, b"1.2.840.10008.1.2.1\0", syntax)
    with pytest.raises((FilmRefused, FilmFailed)) as caught:
        read_film(data, most_bytes=most_bytes)
    assert caught.value.code == first


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_the_same_film_in_every_lossless_syntax(bits):
    frame = films.pixels(200, 150, bits)
    read = [read_film(films.dicom_bytes(frame, syntax, bits)) for syntax in (*films.NATIVE, *films.LOSSLESS)]
    for film in read:
        np.testing.assert_array_equal(film.stored, frame)
        np.testing.assert_array_equal(film.lookup, read[0].lookup)
    assert len({film.film_id for film in read}) == len(read)


def test_fragments_are_joined():
    frame = films.pixels()
    for syntax in (films.JPEG_LOSSLESS_SV1, films.JPEG_LS, films.JPEG_2000_LOSSLESS):
        film = read_film(films.dicom_bytes(frame, syntax, fragments=7))
        np.testing.assert_array_equal(film.stored, frame)


@pytest.mark.parametrize(
    ("elements", "detector_mm"),
    [
        ({"PixelSpacing": ["0.12", "0.12"]}, 0.14),
        ({"PixelSpacing": ["0.1405", "0.1405"], "PixelSpacingCalibrationType": "GEOMETRY"}, 0.14),
        (
            {"ImagerPixelSpacing": None, "PixelSpacing": ["0.12", "0.12"], "PixelSpacingCalibrationType": "GEOMETRY"},
            0.12,
        ),
    ],
)
def test_a_calibrated_film_keeps_the_pixel_size_of_its_detector(elements, detector_mm):
    """The magnification is the ratio of both sizes, not what the header estimates."""
    size = read_scale(read_header(films.dicom_bytes(**elements))[0], (100, 100), None)
    assert size.detector_spacing_mm == pytest.approx((detector_mm, detector_mm))
    assert size.magnification == pytest.approx(detector_mm / float(elements["PixelSpacing"][0]))


def mutated(data, rng):
    """Flip, insert, delete or repeat bytes, mostly in the header."""
    raw = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(132, min(len(raw), 1500) if rng.random() < 0.8 else len(raw)))
        what = rng.integers(4)
        if what == 0:
            raw[at] ^= 1 << int(rng.integers(8))
        elif what == 1:
            raw[at : at + 4] = rng.integers(0, 256, 4, np.uint8).tobytes()
        elif what == 2:
            del raw[at : at + int(rng.integers(1, 9))]
        else:
            raw[at:at] = raw[at : at + int(rng.integers(1, 40))]
    return bytes(raw)


@pytest.mark.parametrize(
    "syntax", [films.EXPLICIT, films.IMPLICIT, films.BIG_ENDIAN, *films.LOSSLESS, films.JPEG_EXTENDED]
)
def test_mutants_are_films_or_refusals(syntax):
    frame = films.pixels(60, 50)
    voi = films.lut(list(range(4096)))
    data = films.dicom_bytes(frame, syntax, VOILUTSequence=voi if syntax != films.BIG_ENDIAN else None)
    rng = np.random.default_rng(7)
    for _ in range(60):
        try:
            film = read_film(mutated(data, rng))
        except FilmRefused:
            continue
        index = film.stored.astype(np.int64) - film.lookup_first
        assert 0 <= index.min() <= index.max() < len(film.lookup)
        assert np.isfinite(film.lookup).all()
        assert 0 <= film.lookup.min() <= film.lookup.max() <= 1
        assert 0.05 / 1.6 <= min(film.spacing_mm) <= max(film.spacing_mm) <= 1.0


def test_nothing_is_logged_printed_or_warned_and_no_error_names_the_patient(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pydicom").setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for case in CASES:
            try:
                text = repr(read_film(case.data))
            except FilmRefused as refused:
                text = f"{refused} {refused.detail} {refused.__cause__}"
            assert films.CANARY not in text, case
    assert caplog.records == []
    assert caught == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_canary_is_in_the_file():
    assert films.CANARY.encode() in films.dicom_bytes()


def test_many_threads_read_the_same():
    chosen = [case for case in CASES if case.code is None][:24]
    alone = [read_film(case.data) for case in chosen]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read_film, [case.data for case in chosen] * 3))
    for i, film in enumerate(together):
        expected = alone[i % len(alone)]
        assert film.film_id == expected.film_id
        assert (film.flags, film.warnings) == (expected.flags, expected.warnings)
        np.testing.assert_array_equal(film.stored, expected.stored)


def test_eight_bit_big_endian_film_in_words():
    frame = films.pixels(bits=8)
    made = films.dataset(frame, 8)
    made.add_new("PixelData", "OW", frame.reshape(-1, 2)[:, ::-1].tobytes())
    np.testing.assert_array_equal(read_film(films.written(made, films.BIG_ENDIAN)).stored, frame)


def test_path_bytes_and_data_set_are_the_same_film(tmp_path):
    data = films.dicom_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    from_path, from_bytes = read_film(path), read_film(data)
    from_data_set = read_film(pydicom.dcmread(io.BytesIO(data)))
    assert from_path.film_id == from_bytes.film_id == film_id(data)
    for film in (from_path, from_data_set):
        for field in fields(Film):
            if field.name in ("stored", "lookup", "_bright"):
                np.testing.assert_array_equal(getattr(film, field.name), getattr(from_bytes, field.name))
            elif field.name != "film_id":
                assert getattr(film, field.name) == getattr(from_bytes, field.name)


CUT = films.dicom_bytes()[:-1000]


@pytest.mark.parametrize(
    "case",
    [
        *(
            case
            for case in CASES
            if case.name in ("zeros_appended", "no_preamble", "padded_to_512", "frames_0", "two_frames")
        ),
        films.Case("cut", CUT, "truncated"),
        films.Case("cut_bare", CUT[132:], "truncated"),
    ],
    ids=repr,
)
def test_every_door_gives_one_verdict(case, tmp_path):
    path = tmp_path / "film.dcm"
    path.write_bytes(case.data)

    def verdict(source):
        try:
            film = read_film(source)
        except FilmRefused as refused:
            return refused.code
        return film.spacing_mm, film.side, films.bright(film).tobytes()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydicom.dcmread(path, force=True)
        kept = len(made)
        verdicts = {verdict(path), verdict(case.data), verdict(made)}
    assert len(made) == kept  # what is the caller's stays as it was
    (one,) = verdicts
    assert (one if isinstance(one, str) else None) == case.code


def test_a_data_set_that_cannot_be_written_is_refused():
    made = pydicom.dcmread(io.BytesIO(films.dicom_bytes()))
    made.file_meta.TransferSyntaxUID = films.RLE  # which its pixels are not in
    with pytest.raises(FilmRefused, match="broken_dicom"):
        read_film(made)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_in_any_wrapping_are_the_same_film(kind):
    data = films.dicom_bytes()
    assert read_film(kind(data)).film_id == film_id(data)


class Upload:
    def read(self):
        return b""


@pytest.mark.parametrize(
    "source", [{}, None, 3, io.BytesIO(b"DICM"), io.StringIO("x"), np.zeros((9, 9), np.uint16), Upload()], ids=type
)
def test_what_no_film_can_be_read_from_is_a_mistake_of_the_caller(source):
    name = type(source).__name__
    hint = "what its read" if hasattr(source, "read") else "$"
    for read in (read_film, check_source):
        with pytest.raises(TypeError, match=f"a film is a path, bytes or a pydicom data set, not {name}.*{hint}"):
            read(source)


def received(data):
    """A data set as it comes over the network: its elements, and how they were encoded, but no file meta."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    del dataset.file_meta
    return dataset


@pytest.mark.parametrize("syntax", films.NATIVE)
def test_a_data_set_without_file_meta_is_read_as_it_was_encoded(syntax):
    data = films.dicom_bytes(syntax=syntax)
    dataset = received(data)
    if syntax == films.DEFLATED:  # inflated, it is encoded as any explicit one
        assert dataset.original_encoding == (False, True)
    film = read_film(dataset)
    np.testing.assert_array_equal(film.stored, read_film(data).stored)
    assert not hasattr(dataset, "file_meta")


@pytest.mark.parametrize(
    "dataset",
    [received(films.dicom_bytes(films.pixels(), films.LOSSLESS[0])), films.dataset(films.pixels())],
    ids=["compressed", "made in memory"],
)
def test_a_data_set_of_unknown_encoding_is_a_mistake_of_the_caller(dataset):
    with pytest.raises(UsageError, match="set file_meta"):
        read_film(dataset)


def test_a_data_set_that_is_read_stays_as_it_is():
    dataset = pydicom.dcmread(io.BytesIO(films.dicom_bytes()))
    del dataset.file_meta.MediaStorageSOPInstanceUID
    before = repr(dataset)
    read_film(dataset)
    assert repr(dataset) == before


def test_odd_places_on_disk(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").write_bytes(b"")
    for name, code in ((".", "not_a_regular_file"), ("fifo", "not_a_regular_file"), ("empty", "empty_file")):
        with pytest.raises(FilmRefused) as caught:
            read_film(tmp_path / name)
        assert caught.value.code == code
    with pytest.raises(FilmFailed) as failed:
        read_film(tmp_path / "Doe_Jane.dcm")
    assert failed.value.code == "file_unreadable"
    assert "Doe" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_large_file_is_judged_by_its_first_bytes(tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    with pytest.raises(FilmRefused, match="not_dicom"):
        read_bytes(path)
    with path.open("r+b") as file:
        file.write(bytes(128) + b"DICM")
    with pytest.raises(FilmRefused, match="too_large"):
        read_bytes(path)


def test_a_film_is_reduced_only_as_far_as_asked() -> None:
    data = films.dicom_bytes(ImagerPixelSpacing=["0.14", "0.2"])
    for coarsest_mm, step in ((0.0, None), (0.3, None), (0.34, 2), (0.66, 2), (0.67, 4), (9.0, 4)):
        film = read_film(data, coarsest_mm=coarsest_mm)
        assert (film.reduced and film.reduced.step) == step
