"""What guidelines ask for: an answer points at something that the report has."""

import re
from pathlib import Path

from calibration.validate import reporting_items
from calibration.validate.reporting_items import ALL, ITEMS

PAGE = (Path(reporting_items.__file__).parent / "templates" / "validation.html.j2").read_text()
ELSEWHERE = {"head of the page", "first line of the page", "each site", "validation.json", "bundle and its digest"}
ELSEWHERE |= {"MODEL_CARD.md of the bundle", "page of study pool", "each film's report", "pairs.csv"}


def test_every_answer_stands_under_a_heading_of_the_page() -> None:
    heads = {re.sub(r"{{.*?}}", "INT8", one) for one in re.findall(r"<h[23]>(.*?)</h[23]>", PAGE)}
    heads |= {one.partition(",")[0] for one in heads}
    for item in ITEMS:
        for place in re.split("; ", item.answer or ""):
            name = place.partition(",")[0].partition(":")[0]
            assert not name or name in heads | ELSEWHERE | {"the plan"}, item


def test_each_guideline_has_what_we_answer_and_what_only_the_clinic_can() -> None:
    for guideline in ALL:
        mine = [item for item in ITEMS if guideline in item.asked_by]
        assert sum(item.answer is None for item in mine) >= 8
        assert sum(item.answer is not None for item in mine) >= 12
    assert len({item.topic for item in ITEMS}) == len(ITEMS)
