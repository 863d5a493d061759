from pathlib import Path

import pytest

from tests.support import films as odd_films


def test_the_plain_loop_reads_films_with_pydicoms_own_decoders(tmp_path: Path) -> None:
    plain = pytest.importorskip("export.bench.plain")
    (tmp_path / "a.dcm").write_bytes(odd_films.dicom_bytes(odd_films.pixels(300, 240), odd_films.HTJ2K_LOSSLESS))
    found = plain.main(tmp_path, None)
    assert found["films_per_s"] > 0
    assert found["decoder"] == "pylibjpeg"
    (tmp_path / "a.dcm").write_bytes(odd_films.dicom_bytes(odd_films.pixels(300, 240), odd_films.JPEG_LOSSLESS_SV1))
    assert plain.main(tmp_path, None)["decoder"] == "gdcm"
