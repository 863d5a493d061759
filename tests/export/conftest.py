"""A bundle made of small runs, with few hips."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.error_budget import LIMITS
from export.make_bundle import export_bundle
from tests.support.small_runs import FEW, STATEMENT, finder_part, write_cohort, write_run


@pytest.fixture(scope="module")
def few_hips_are_enough() -> Iterator[None]:
    """Only for these bundles: a thousand hips would take a minute. The limit itself is tested with the guard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.make_bundle.LIMITS", FEW)
        # Makers of so few hips are judged by the export alone: the embedded bundle is read beside them.
        patch.setattr("bmd_edge.bundle.verify.LIMITS", replace(LIMITS, min_hips=FEW.min_hips))
        yield


@pytest.fixture(scope="module")
def made(few_hips_are_enough: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VerifiedBundle]:
    folder = tmp_path_factory.mktemp("line")
    run, table = write_run(folder / "run", "vgg11_se"), write_cohort(folder / "cohort")
    bundle = export_bundle([run], table, folder / "bundle", STATEMENT, finder=finder_part(folder))
    return folder, bundle
