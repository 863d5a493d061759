import io
from hashlib import sha256

import numpy as np
import pydicom
import pytest

from bmd_edge.film.read import read_film
from trainer.phantom.film.write_dicom import SYNTAXES, write_dicom


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
