"""A crew to which films come one by one, from many threads, as an actor of Ray calls it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bmd_edge.cluster.node_crew import About, NodeCrew, facts_of, same_everywhere
from bmd_edge.errors import BundleError
from bmd_edge.screen.jobs import FilmJob, FilmOutcome
from bmd_edge.version import __version__
from tests.support.screening import drawn_screener, faulty_screener, hip_dicom, no_screener


@pytest.fixture(scope="module")
def crew() -> NodeCrew:
    opened = NodeCrew()
    about = opened.open(faulty_screener, 2, None)
    assert isinstance(about, About)
    assert about.workers == 2
    assert about.facts == same_everywhere(drawn_screener().setup)
    return opened


def films(folder: Path, *names: str) -> list[FilmJob]:
    for index, name in enumerate(names):
        (folder / name).write_bytes(hip_dicom("R", bone=1600 + 60 * index))
    return [FilmJob(os.fsencode(folder / name), name) for name in names]


def test_films_that_come_side_by_side_get_their_own_outcomes(crew: NodeCrew, tmp_path: Path) -> None:
    """One of them ends its worker: it is tried again as soon as no other one waits, and fails alone."""
    jobs = films(tmp_path, "a", "crash", "slow", *"bcdefgh")
    with ThreadPoolExecutor(len(jobs)) as threads:
        outcomes = list(threads.map(crew.examine, jobs, [facts_of(job.path) for job in jobs]))
    found = {}
    for outcome in outcomes:
        assert isinstance(outcome, FilmOutcome)
        found[outcome.report.file] = outcome.report.reason
    assert found == {job.file: "worker_lost" if job.file == "crash" else None for job in jobs}


def test_a_film_comes_by_its_bytes(crew: NodeCrew, tmp_path: Path) -> None:
    (job,) = films(tmp_path, "film.dcm")
    by_path = crew.examine(job, facts_of(job.path))
    data = (tmp_path / "film.dcm").read_bytes()
    assert crew.examine(FilmJob(b"/nowhere", job.file, data=data), None) == by_path


def test_another_file_at_the_path_is_not_the_film(crew: NodeCrew, tmp_path: Path) -> None:
    """A machine may have another folder at the path; its films must not be taken for those of the run."""
    (job,) = films(tmp_path, "film.dcm")
    facts = facts_of(job.path)
    os.utime(job.path, (0, 1))
    assert crew.examine(job, facts) is None
    Path(os.fsdecode(job.path)).unlink()
    assert (facts_of(job.path), crew.examine(job, facts)) == (None, None)


def test_what_speaks_against_a_machine_is_its_answer() -> None:
    said = NodeCrew().open(partial(no_screener, BundleError("no bundle")), 1, None)
    assert (type(said), str(said)) == (BundleError, "no bundle")


def test_a_crew_that_cannot_go_on_says_so_for_every_film(tmp_path: Path) -> None:
    crew = NodeCrew()
    flag = tmp_path / "opened"
    assert isinstance(crew.open(partial(opens_once, flag), 1, None), About)
    for job in films(tmp_path, "crash", "b"):
        said = crew.examine(job, None)
        assert isinstance(said, BundleError)


def opens_once(flag: Path) -> object:
    if flag.exists():
        raise BundleError("it has gone")
    flag.touch()
    return faulty_screener()


def test_what_is_the_same_everywhere_names_versions_bundle_and_settings() -> None:
    setup = drawn_screener().setup
    facts = same_everywhere(setup)
    assert (facts["bmd-edge"], facts["bundle"], facts["device"]) == (__version__, "ab" * 8, "function")
    for other in (
        replace(setup, digest="other"),
        replace(setup, failed=replace(setup.failed, bundle_digest="cd" * 32)),
        replace(setup, failed=replace(setup.failed, recalibration="ef" * 32)),
    ):
        assert same_everywhere(other) != facts
