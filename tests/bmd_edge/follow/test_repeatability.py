"""The file of a clinic's precision is read strictly."""

import dataclasses
import json

import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import BundleError
from bmd_edge.follow.repeatability import BetweenUnits, open_repeatability, phantoms
from bmd_edge.sites import SITES
from tests.bmd_edge.follow.made_up import known


@pytest.fixture
def written(tmp_path):
    def write(**changed):
        path = tmp_path / "clinic.json"
        path.write_text(json.dumps(dataclasses.asdict(known(slope=(0.8, 0.7, 0.9))) | changed))
        return path

    return write


def test_a_file_reads_back_equal(written):
    assert open_repeatability(written()) == known(slope=(0.8, 0.7, 0.9))


def sites(**changed):
    one = dataclasses.asdict(known().precisions["int8"]["total_hip"]) | changed
    return {"precisions": {"int8": {"femoral_neck": one, "total_hip": one}}}


def between(**changed):
    one = BetweenUnits(("A", "B"), 3, dict.fromkeys(SITES, 0.01), {}, {})
    return {"between_units": {"int8": [dataclasses.asdict(one) | changed]}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schema": 2}, "make it anew"),
        ({"source": "hearsay"}, "neither clinic nor phantom"),
        ({"precisions": {"int8": {}}}, "do not cover both sites"),
        ({"unknown": 1}, "unknown key"),
        (between(units=["A"]), "not of two units"),
        (between(difference_gcm2={"total_hip": 0.01}), "not of two units"),
        (sites(degrees_of_freedom=29), "out of bounds"),
        (sites(rms_sd_gcm2=0.0), "out of bounds"),
        (sites(rms_sd_high_gcm2=0.01), "out of bounds"),
        (sites(slope={"slope": 0.5, "low": -0.1, "high": 0.9, "subjects": 40}), "out of bounds"),
    ],
)
def test_a_file_that_breaks_its_contract_is_refused(written, changed, said):
    with pytest.raises(BundleError, match=said):
        open_repeatability(written(**changed))


def test_the_phantoms_figure_is_that_of_the_embedded_bundle():
    found = phantoms()
    assert found.source == "phantom"
    assert found.bundle_digest == read_bundle(None).digest, "make it anew: python -m export.proofs.follow --help"
    assert set(found.precisions) == set(read_bundle(None).precisions("bmd"))
