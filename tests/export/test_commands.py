import shutil
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.errors import BundleError, UsageError
from export.commands import export as export_command


def copied(bundle: VerifiedBundle, name: str, path: Path) -> float:
    """Stands for the export of a network that is in the bundle already: doing it again would only take time."""
    shutil.copy(bundle.model_path(name), path)
    return 0.0


def test_the_command_makes_the_same_bundle_and_names_no_path(
    made: tuple[Path, VerifiedBundle],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    folder, bundle = made
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path, __: copied(bundle, name, path))
    shutil.copytree(folder / "run", tmp_path / "run")
    command = {"runs": [tmp_path / "run"], "table": folder / "cohort" / "films.csv", "out": tmp_path / "out"}
    with pytest.raises(UsageError, match="say what the network was trained on, --training-data"):
        export_command(**command)
    with pytest.raises(UsageError, match="give one of them"):
        export_command(**command, finder=folder / "finder", finder_bundle=folder / "bundle")
    command |= {"finder_bundle": folder / "bundle", "version": "named", "training_data": "noise"}
    with pytest.raises(BundleError, match=r"refused \(no_better_than_mean.*--unproven REASON"):
        export_command(**command)
    assert not (tmp_path / "out").exists()
    export_command(**command, unproven="it is of noise")
    made_again = read_bundle(tmp_path / "out")
    assert made_again.manifest.version == "named"
    for name in ("bmd.int8.onnx", "finder.onnx"):
        assert made_again.manifest.files[name] == bundle.manifest.files[name]
    assert made_again.manifest.plausibility == bundle.manifest.plausibility
    assert made_again.manifest.provenance.runs["finder"]["bundle_digest"] == bundle.digest
    assert made_again.manifest.provenance.command == "bmd-edge export run --table films.csv"
    assert made_again.manifest.validity.notice.startswith("BMD network trained on noise. This network is not shown")
    assert made_again.manifest.validity.notice.endswith("for this reason: it is of noise")
    printed = capsys.readouterr()
    assert made_again.digest in printed.out
    assert "ranges by" in printed.err
