"""Tests stand where the files stand that they test, by the same name: `film/test_scale.py` tests `film/scale.py`."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("bmd_edge", "trainer", "export", "calibration")
SMALL = 60
"""Lines; a shorter file may be tested where it is used."""
ELSEWHERE = {
    "bmd_edge/__init__.py": "the public names: tests/bmd_edge/test_public_face.py",
    "bmd_edge/bundle/error_budget.py": "export/int8/test_shift_in_gcm2.py: each limit alone decides",
    "bmd_edge/bundle/signature.py": "needs a signer; export/bundle/test_sign.py signs and checks",
    "bmd_edge/bundle/manifest.py": "bmd_edge/bundle/test_verify.py: every way to tamper with a manifest",
    "calibration/pairs/pairs.py": "validate/test_validate.py and whole/test_formulas.py read what it writes",
    "calibration/validate/plots.py": "pictures; validate/test_page.py reads the page that holds them",
    "export/bundle/finder_limits.py": "needs a trained finder; whole/test_embedded.py: every check is on",
    "export/bundle/model_card.py": "export/test_make_bundle.py reads the card",
    "export/bench/starts.py": "times whole commands beside another checkout, by the functions of bench/test_against.py",
    "export/report/latency.py": "times; export/report/test_page.py reads the page that shows them",
    "export/report/plots.py": "pictures; export/report/test_page.py reads the page that holds them",
    "trainer/phantom/beam/make_beam_table.py": "made once, of libraries for it alone; beam/test_beam.py uses the table",
    "trainer/phantom/body/other_bones.py": "films without a hip; phantom/film/test_scene.py makes every case",
    "trainer/phantom/body/pelvis.py": "stands behind hips; phantom/film/test_film.py sees films of it",
    "bmd_edge/cluster/machine.py": "cluster/test_ray_process.py gives films to four real ones and loses two",
    "bmd_edge/screen/jobs.py": "messages and a clock; screen/test_workers.py and export/bench/test_stages.py use them",
    "export/readme/pages.py": "whole/documents/test_pages.py: every page is what it writes",
    "export/readme/followed.py": "whole/documents/test_pages.py: its words are on the page",
    "export/readme/proofs.py": "whole/documents/test_pages.py: its words are on the pages",
    "trainer/phantom/cohort/demo.py": "whole/test_embedded.py: the demo films are those that it writes",
    "trainer/phantom/judge/reduced_decoding.py": "measures for minutes; film/test_film.py compares reduced films",
}


def sources() -> dict[str, int]:
    """Every source file and its lines."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in paths
        if "__pycache__" not in path.parts
    }


def mirrored(source: str) -> Path:
    return ROOT / "tests" / Path(source).parent / f"test_{Path(source).name}"


def test_every_source_file_has_a_test_file_of_its_name() -> None:
    untested = {name for name, lines in sources().items() if lines > SMALL and not mirrored(name).exists()}
    assert untested == set(ELSEWHERE), "neither a test file of its name nor a reason; or a reason too many"


def test_every_test_file_has_a_source_file_of_its_name() -> None:
    known = {mirrored(name) for name in sources()} | {ROOT / "tests/bmd_edge/test_public_face.py"}
    stray = [
        path for package in PACKAGES for path in (ROOT / "tests" / package).rglob("test_*.py") if path not in known
    ]
    assert not stray, "tests of several files stand in tests/whole"
