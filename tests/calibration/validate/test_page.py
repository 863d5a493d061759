import json
import re

from calibration.pairs.learned_from import Known
from calibration.validate.page import write_page
from calibration.validate.validate import compare
from tests.support.cohorts import cohort, made_bundle, table_of


def test_the_same_films_give_the_same_bytes(made, tmp_path):
    validation, _, folder = made
    rows, films = cohort()
    again = compare(made_bundle(), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    assert json.dumps(again.facts) == json.dumps(validation.facts)
    write_page(tmp_path / "validation.html", again)
    assert (tmp_path / "validation.html").read_bytes() == (folder / "validation.html").read_bytes()


def test_the_page_stands_alone_and_says_what_it_is(made):
    _, _, folder = made
    page = (folder / "validation.html").read_text()
    assert "Research use only, not for diagnosis" in page
    assert not re.search(r"https?://|<script|src=\"(?!data:)", page)
    assert not re.search(r"\bnormal\b", page, re.IGNORECASE)
    assert str(folder) not in page
    assert "S001" not in page, "subjects are named in pairs.csv only"
    assert page.count("data:image/svg+xml") == 2 * 5 + 2 + 1 + 2  # by site, forests, headline, INT8
