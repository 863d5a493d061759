"""A bundle that anybody has changed is refused before a parser sees its files."""

import io
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import BundleError
from tests.bmd_edge.bundle.tampering import TAMPERED, rehash


def test_there_are_more_than_twenty_ways() -> None:
    assert len(TAMPERED) >= 40


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_bundle_is_refused_before_a_parser_sees_it(
    copy: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper, says = TAMPERED[name]
    tamper(copy)
    monkeypatch.setattr(
        "bmd_edge.engine.onnx_runtime.onnxruntime_module", lambda: pytest.fail("an ONNX parser was asked for")
    )
    with pytest.raises(BundleError, match=says):
        read_bundle(copy)


def test_golden_of_another_type_is_refused(copy: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    (copy / "golden.npz").write_bytes(buffer.getvalue())
    rehash(copy, "golden.npz")
    with pytest.raises(BundleError, match="other than float32"):
        read_bundle(copy)
