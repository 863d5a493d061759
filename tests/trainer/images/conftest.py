from pathlib import Path

import pytest

from bmd_edge.table.film_table import HipRow, write_table
from tests.trainer.images.hospital import SPECS
from trainer.phantom.film.film import PhantomFilm, film
from trainer.phantom.film.write_dicom import write_dicom


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, PhantomFilm]]:
    """A folder as a hospital has it: three films and a table without any column of ours."""
    folder = tmp_path_factory.mktemp("hospital")
    made = {name: film(spec) for name, spec in SPECS.items()}
    for name, one in made.items():
        with (folder / name).open("wb") as file:
            write_dicom(file, one)
    rows = [
        HipRow(film=name, subject=name[:3], side=spec.side, split="train", age_years=70.0, sex="F", scale="hologic",
               bmd_gcm2={"femoral_neck": 0.7, "total_hip": None})
        for name, spec in SPECS.items()
    ]  # fmt: skip
    write_table(folder / "films.csv", rows)
    return folder / "films.csv", made
