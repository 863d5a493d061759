"""The figures of another bundle, table or split are not written over; the same ones may be made again."""

import json
from pathlib import Path
from typing import Any

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import UsageError
from calibration.validate.earlier_report import check_report
from calibration.validate.validate import sha256
from tests.support.bundles import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "films" / "table.csv"
    path.parent.mkdir()
    path.write_text("film,subject\n")
    return path


def left(file: Path, bundle: VerifiedBundle, read: Path, **other: Any) -> Path:
    """The file that an earlier validation has left."""
    facts = {"bundle_digest": bundle.digest, "table": {"sha256": sha256(read), "split": "test"}}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(facts | other))
    return file


def test_the_same_figures_may_be_made_again(bundle: VerifiedBundle, table: Path, tmp_path: Path) -> None:
    check_report(tmp_path / "R" / "validation.json", bundle, [table], "test")
    check_report(left(tmp_path / "R" / "validation.json", bundle, table), bundle, [table], "test")
    worlds = {"worlds": [{"table": {"sha256": sha256(table), "split": "test"}}]}
    check_report(left(tmp_path / "R" / "world.json", bundle, table, **worlds), bundle, [table], "test")


@pytest.mark.parametrize(
    "other",
    [
        {"bundle_digest": "0" * 64},
        {"table": {"sha256": "0" * 64, "split": "test"}},
        {"table": {"split": "test"}},
        {"recalibration": "0" * 64},
        {"worlds": []},
        {"worlds": 3},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_figures_are_not_written_over(
    other: dict[str, Any], bundle: VerifiedBundle, table: Path, tmp_path: Path
) -> None:
    file = left(tmp_path / "R" / "validation.json", bundle, table, **other)
    with pytest.raises(UsageError, match="which would be lost: give another --out"):
        check_report(file, bundle, [table], "test")


def test_another_split_recalibration_or_file_is_another_report(
    bundle: VerifiedBundle, table: Path, tmp_path: Path
) -> None:
    file = left(tmp_path / "R" / "validation.json", bundle, table)
    for given in ({"split": "val"}, {"split": "test", "recalibration": table}):
        with pytest.raises(UsageError, match="which would be lost"):
            check_report(file, bundle, [table], **given)
    file.write_text("my notes")
    with pytest.raises(UsageError, match="which would be lost"):
        check_report(file, bundle, [table], "test")
    with pytest.raises(UsageError, match="the folder of a table"):
        check_report(table.parent / "validation.json", bundle, [table], "test")
