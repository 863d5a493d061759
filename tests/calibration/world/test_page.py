"""The page of `bmd-edge world`."""

import re

from calibration.validate.page import said
from calibration.world.page import FIGURES, write_page
from calibration.world.world import Scored
from tests.calibration.world.test_figures import part


def test_the_page_shows_every_world_with_its_number_of_hips(foreign, real, tmp_path):
    worlds = {"foreign": foreign, "real": real}
    facts = {
        "use": "Research use only", "notice": "made up", "training_data": "none", "bundle": "b", "bundle_digest": "0",
        "device": "cpu", "primary": "int8", "versions": {"bmd-edge": "0"},
        "bootstrap": {"resamples": 1, "least_subjects": 5},
        "worlds": [one for _, one, _ in worlds.values()],
    }  # fmt: skip
    facts["worlds"][1] = {**facts["worlds"][1], "name": "<b>ours</b>"}
    write_page(tmp_path / "a.html", Scored(facts, {"foreign": foreign[2], "<b>ours</b>": real[2]}))
    page = (tmp_path / "a.html").read_text()
    for _, one, _ in worlds.values():
        figures = part(one, "all", "hips")["sites"]["femoral_neck"]["figures"]
        assert f"{one['hips']} hips on {one['table']['films']} films of {one['table']['subjects']} subjects" in page
        for name, label, kind in FIGURES:
            assert f"<td>{said(figures[name], kind)}</td>" in page
            assert label in page
        for row in one["groups"]:
            assert f"{row['division']}: {row['part']}" in page
    assert "<b>ours" not in page
    assert "&lt;b&gt;ours&lt;/b&gt; (real)" in page
    assert re.search(r"<script|https?://(?!www\.w3\.org)", page) is None
