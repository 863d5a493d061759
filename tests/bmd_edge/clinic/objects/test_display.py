"""How a film is shown, from headers as they come; test_gsps.py sees what DCMTK makes of it."""

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.study import study_of
from tests.bmd_edge.clinic.objects.said import said_of
from tests.support import films as odd
from tests.support.screening import hip_dicom


def display(**header: Any) -> Dataset:
    return study_of(odd.dicom_bytes(odd.pixels(), **header)).display


def table(descriptor: list[int], data: bytes, vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new(0x00283002, vr, descriptor)
    item.add_new(0x00283006, "OW", data)
    return [item]


RAMP = np.arange(256, dtype="<u2")


@pytest.mark.parametrize(
    ("header", "shape"),
    [
        ({"PhotometricInterpretation": "MONOCHROME2"}, "IDENTITY"),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "IDENTITY"}, "IDENTITY"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "INVERSE"),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"}, "INVERSE"),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "INVERSE"}, "INVERSE"),
    ],
)
def test_polarity_is_that_of_reading(header: dict[str, str], shape: str) -> None:
    assert display(**header).PresentationLUTShape == shape


def test_the_first_lut_goes_before_the_first_window() -> None:
    (both,) = display(
        WindowCenter=[100, 7], WindowWidth=[200, 9], VOILUTSequence=table([256, 0, 8], RAMP.tobytes())
    ).SoftcopyVOILUTSequence
    assert "WindowCenter" not in both
    assert both.VOILUTSequence[0].LUTData == RAMP.tobytes()
    (window,) = display(WindowCenter=[100, 7], WindowWidth=[200, 9], VOILUTFunction="SIGMOID").SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth, window.VOILUTFunction) == (100, 200, "SIGMOID")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": [1, 2], "WindowWidth": 5},
        {"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "ODD"},
        {"VOILUTSequence": table([256, 0, 8], RAMP.tobytes()[:100])},
        {"VOILUTSequence": table([256, 0, 7], RAMP.tobytes())},
        {"VOILUTSequence": table([2, 0, 8], b"\7\0\7\0")},
        {"VOILUTSequence": []},
    ],
)
def test_what_is_malformed_is_left_out(header: dict[str, Any]) -> None:
    assert "SoftcopyVOILUTSequence" not in display(**header)


def test_a_packed_lut_is_unpacked() -> None:
    (item,) = display(VOILUTSequence=table([256, 0, 8], bytes(range(256)))).SoftcopyVOILUTSequence
    assert item.VOILUTSequence[0].LUTData == RAMP.tobytes()


def test_a_lut_has_a_sign_where_its_input_has() -> None:
    def first(**header: Any) -> tuple[str, int]:
        data = display(VOILUTSequence=table([256, 0xFF80, 8], RAMP.tobytes()), **header)
        element = data.SoftcopyVOILUTSequence[0].VOILUTSequence[0][0x00283002]
        return element.VR, element.value[1]

    assert first() == ("US", 0xFF80)
    assert first(RescaleSlope=1, RescaleIntercept=-128) == ("SS", -128)
    modality = table([256, 0, 8], RAMP.tobytes())
    assert first(RescaleIntercept=None, RescaleSlope=None, ModalityLUTSequence=modality) == ("US", 0xFF80)


def test_modality_lut_and_rescale_are_repeated_with_a_type() -> None:
    found = display(ModalityLUTSequence=table([256, 0, 8], RAMP.tobytes()), RescaleSlope=None, RescaleIntercept=None)
    assert found.ModalityLUTSequence[0].ModalityLUTType == "US"
    rescaled = display(RescaleSlope=2, RescaleIntercept=-10)
    assert (rescaled.RescaleSlope, rescaled.RescaleIntercept, rescaled.RescaleType) == (2, -10, "US")
    assert "RescaleSlope" not in display(RescaleSlope=1, RescaleIntercept=0)


@pytest.mark.parametrize(
    ("header", "aspect"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1]}, [2, 1]),
        ({"ImagerPixelSpacing": None}, [1, 1]),
        ({"ImagerPixelSpacing": None, "PixelAspectRatio": [3, 4]}, [3, 4]),
        ({"ImagerPixelSpacing": [0.1, -0.1]}, [1, 1]),
        ({"ImagerPixelSpacing": [1e-9, 1]}, [1, 1]),
    ],
)
def test_pixels_that_are_not_square_stay_so(header: dict[str, Any], aspect: list[int]) -> None:
    data = pydicom.dcmread(io.BytesIO(said_of(hip_dicom("R", **header))[1]["gsps"].data))
    assert list(data.DisplayedAreaSelectionSequence[0].PresentationPixelAspectRatio) == aspect
