"""A validation of a made-up cohort, and the pairs that it wrote."""

import csv

import pytest

from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import write_pairs
from calibration.validate.page import write_page
from calibration.validate.validate import compare
from tests.support.cohorts import cohort, made_bundle, table_of


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    rows, films = cohort()
    made = compare(made_bundle(), table_of(folder, rows), "test", Known(), films, "cpu")
    write_pairs(folder / "pairs.csv", made.pairs, made.left_out)
    write_page(folder / "validation.html", made)
    with (folder / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    return made, pairs, folder
