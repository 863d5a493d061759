"""A film that kills its process is one row without a number."""

import os
import signal
from pathlib import Path

import bmd_edge
from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.film.film import film_id
from calibration.pairs import answers

DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"


class Dies(answers._EveryPrecision):
    """Loses its process at one film, as a broken decoder would."""

    def load(self, source):
        if Path(source).name == "left_hip.dcm":
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().load(source)


def dying(bundle, device, recalibration, patient_key):
    return Dies(read_bundle(bundle), device, recalibration)


def test_a_film_that_kills_its_process_is_one_row_without_a_number(monkeypatch):
    monkeypatch.setattr(answers, "_open", dying)
    films = {name: DEMO / name for name in ("left_hip.dcm", "right_hip.dcm")}
    found, device = answers.read_films(read_bundle().root, films, "cpu", 1, lambda *_: None)
    assert device == "cpu"
    assert [one.film for one in found] == list(films)
    assert {(name, one.precision, one.reason) for name, one in found[0].reports.items()} == {
        (name, name, "worker_lost") for name in read_bundle().precisions("bmd")
    }
    assert found[0].film_id == film_id((DEMO / "left_hip.dcm").read_bytes())
    assert all(one.status == "read" for one in found[1].reports.values())
