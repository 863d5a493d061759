import json
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
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path, *__: copied(bundle, name, path))
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
    assert "30 without, the judging half holds 0 and 0" in printed.err  # no age, no sex


def test_what_is_missing_is_said_before_any_film_is_read(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    folder, _ = made
    (tmp_path / "texts").mkdir()
    command = {"table": tmp_path / "nosuch.csv", "out": tmp_path / "out"}
    for runs, said in (
        ([tmp_path / "nosuch"], "nosuch: no such folder; a run folder is what `bmd-edge train` writes"),
        ([folder / "bundle"], "bundle is a bundle: give the run folder that it was made of"),
        ([folder / "finder"], "finder is the run of a finder: give the run folder of a BMD network"),
        ([tmp_path / "texts"], r"texts is no run folder: it has no config\.json"),
    ):
        with pytest.raises(UsageError, match=said):
            export_command(runs=runs, **command)
    with pytest.raises(UsageError, match="run is the run of a BMD network: give the run folder of a finder"):
        export_command(runs=[folder / "run"], finder=folder / "run", **command)
    with pytest.raises(UsageError, match="texts exists and is not a bundle: choose another --out"):
        export_command(runs=[folder / "run"], **(command | {"out": tmp_path / "texts"}))


def test_a_bundle_says_what_its_network_went_on_from(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also that these weights were the embedded bundle's, of the phantom."""
    folder, bundle = made
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path, *__: copied(bundle, name, path))
    run = shutil.copytree(folder / "run", tmp_path / "run")
    embedded = read_bundle().manifest
    weights, version = embedded.provenance.runs["bmd"]["checkpoint_sha256"], embedded.version
    (run / "versions.json").write_text(json.dumps({"init": "earlier", "init_checkpoint_sha256": weights}))
    export_command(
        runs=[run], table=folder / "cohort" / "films.csv", out=tmp_path / "out", finder_bundle=folder / "bundle",
        training_data="noise", unproven="it is of noise", int8=False,
    )  # fmt: skip
    manifest = read_bundle(tmp_path / "out").manifest
    assert manifest.provenance.runs["bmd"]["init_checkpoint_sha256"] == weights
    went_on = f"noise, going on from the network of the run earlier, of the bundle {version} (digital hip phantom)"
    assert manifest.validity.training_data == went_on
    assert f"BMD network trained on {went_on}." in manifest.validity.notice
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert f"* Training data: {went_on}." in card
    assert f"init earlier, init_checkpoint_sha256 {weights}" in card
