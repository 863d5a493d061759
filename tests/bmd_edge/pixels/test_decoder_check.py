"""A decoder that gives other values is noticed before a film is read with it."""

import sys

import numpy as np
import pytest

from bmd_edge.errors import EngineError
from bmd_edge.pixels import decoder_check, jpeg
from bmd_edge.pixels.decoder_check import check_decoders, decoder_differences
from bmd_edge.pixels.transfer_syntaxes import transfer_syntax
from tests.support import films
from tests.support.screening import drawn_screener


def test_the_decoders_of_this_machine_are_sound():
    check_decoders()
    assert set(decoder_differences()) == {*films.LOSSLESS, *films.LOSSY}
    assert decoder_check.CANARIES.stat().st_size < 30_000


@pytest.mark.parametrize("family", jpeg._DECODERS)
def test_one_gray_level_more_is_noticed(family, monkeypatch):
    good = jpeg._DECODERS[family]
    off = 2 if family == "jpeg" else 1  # lossy syntaxes may differ by rounding
    monkeypatch.setitem(jpeg._DECODERS, family, lambda data: good(data) + np.uint8(off))
    with pytest.raises(EngineError, match=r"wrongly on this machine.*imagecodecs"):
        check_decoders()
    with pytest.raises(EngineError):
        drawn_screener()


def test_one_gray_level_more_in_a_reduced_frame_is_noticed(monkeypatch):
    good = jpeg._reduced
    monkeypatch.setattr(jpeg, "_reduced", lambda *given: good(*given) + np.uint8(1))
    wrong = {uid for uid, difference in decoder_differences().items() if difference}
    assert wrong == {uid for uid in films.LOSSLESS if transfer_syntax(uid).family == "jpeg_2000"}


def test_a_decoder_that_is_gone_is_noticed(monkeypatch):
    def gone(data):
        raise RuntimeError

    monkeypatch.setitem(jpeg._DECODERS, "jpeg_ls", gone)
    assert decoder_differences()[films.JPEG_LS] is None
    with pytest.raises(EngineError, match=r"CharLS does not decode JPEG-LS .* pip install --force-reinstall"):
        check_decoders()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(EngineError, match="freeze all of imagecodecs"):
        check_decoders()


def test_a_program_without_its_data_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder_check, "CANARIES", tmp_path / "canaries.npz")
    with pytest.raises(EngineError, match=r"lacks bmd-edge's data files.*: install the program again"):
        check_decoders()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(EngineError, match="--collect-data bmd_edge"):
        check_decoders()
