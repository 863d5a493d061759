"""The whole line, small: untrained networks of the trainer, ROI images on disk, one bundle."""

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from bmd_edge.bundle import Bundle, open_bundle
from bmd_edge.engine import open_engine
from bmd_edge.errors import BundleError, TableError
from bmd_edge.preprocess import BMD, normalize
from bmd_edge.table import SITES, HipRow, read_table, write_table
from export import films
from export.commands import export as export_command
from export.line import SPECS, Statement, accuracy, export_bundle, golden_input
from export.parity import LIMITS, compare
from trainer.network import build

STATEMENT = Statement(
    version="tiny", created="2026-01-01", command="bmd-edge export tiny", training_data="noise", notice="Of no use."
)
KWARGS = {
    "resnet18": {"width": 0.125, "label_mean": [0.7, 0.8], "label_sd": [0.1, 0.1]},
    "finder": {"channels": [8] * 5},
}


def write_run(folder: Path, name: str) -> Path:
    """A run folder as the trainer leaves it."""
    torch.manual_seed(0)
    folder.mkdir()
    network = build(name, **KWARGS[name])
    save_file(network.state_dict(), folder / "checkpoint.safetensors")
    (folder / "config.json").write_text(json.dumps({"network": name, "kwargs": KWARGS[name]}))
    (folder / "split.json").write_text(json.dumps({"train": ["t1", "t2"], "val": ["v1"]}))
    return folder


def write_cohort(folder: Path, subjects: int = 44, split: str = "calibrate") -> Path:
    """Two hips a subject; the BMD is seen as brightness."""
    (folder / "roi").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for index in range(2 * subjects):
        noise = rng.random((32, 32)).repeat(8, 0).repeat(8, 1) ** rng.uniform(0.5, 2)
        Image.fromarray((noise * 60_000).astype(np.uint16)).save(folder / f"roi/{index:06}.png")
        bmd = dict(zip(SITES, rng.normal([0.7, 0.8], 0.1).round(4).tolist(), strict=True))
        extra = {"x_image": "roi", "x_spacing_mm": "0.65", "x_maker_style": "AB"[index % 2]}
        rows.append(
            HipRow(
                film=f"roi/{index:06}.png",
                subject=f"s{index // 2}",
                side="RL"[index % 2],
                split=split,
                bmd_gcm2=bmd,
                scale="hologic",
                extra=extra,
            )
        )
    write_table(folder / "films.csv", rows)
    return folder / "films.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    folder = tmp_path_factory.mktemp("line")
    run, finder = write_run(folder / "run", "resnet18"), write_run(folder / "finder", "finder")
    table = write_cohort(folder / "cohort")
    return folder, export_bundle(run, finder, table, folder / "bundle", STATEMENT, finder_numbers={"min_peak": 0.2})


def test_the_bundle_holds_what_the_runtime_needs(made: tuple[Path, Bundle]) -> None:
    folder, bundle = made
    assert open_bundle(folder / "bundle").digest == bundle.digest
    assert bundle.precisions("bmd") == ("fp32", "int8")
    assert bundle.specs == SPECS
    assert bundle.manifest.plausibility == {"min_peak": 0.2}
    assert {site: numbers.n for site, numbers in bundle.calibration["int8"].sites.items()} == dict.fromkeys(SITES, 44)
    with open_engine(bundle, "finder", device="cpu") as finder, open_engine(bundle, "bmd", device="cpu") as bmd:
        assert bmd.precision == "int8"
        assert set(bmd.outputs) == {"bmd", "spread", "embedding"}
        assert finder.outputs["heatmaps"].shape == (None, 6, 128, 128)
        assert finder.outputs["kind"].shape == (None, 6)


def test_the_manifest_says_where_it_comes_from(made: tuple[Path, Bundle]) -> None:
    folder, bundle = made
    provenance = bundle.manifest.provenance
    assert provenance.calibration_films is not None
    assert provenance.calibration_films.ranges_subjects == provenance.calibration_films.guard_subjects == 22
    assert sum(provenance.calibration_films.makers.values()) == 88
    assert provenance.runs["bmd"]["network"] == "resnet18"
    assert str(folder) not in (folder / "bundle" / "manifest.json").read_text()


def test_a_film_that_was_learned_from_cannot_judge(made: tuple[Path, Bundle], tmp_path: Path) -> None:
    folder, _ = made
    run = write_run(tmp_path / "knowing", "resnet18")
    (run / "split.json").write_text(json.dumps({"train": ["t1"], "val": ["s3"]}))
    with pytest.raises(
        TableError, match="subject s3: of the split calibrate here, but the run knowing knows it from val"
    ):
        export_bundle(
            run, folder / "finder", folder / "cohort" / "films.csv", tmp_path / "out", STATEMENT, finder_numbers={}
        )
    assert not (tmp_path / "out").exists()
    row = read_table(folder / "cohort" / "films.csv")[6]
    films.check_apart(run, [dataclasses.replace(row, split="val")])  # what chose a checkpoint may be measured as such
    (run / "split.json").write_text(json.dumps({"train": ["s3"]}))
    with pytest.raises(TableError, match="knows it from train"):
        films.check_apart(run, [dataclasses.replace(row, split="train")])


def test_the_guard_is_saved_and_in_the_card(made: tuple[Path, Bundle]) -> None:
    folder, bundle = made
    saved = json.loads((folder / "run" / "parity.json").read_text())
    assert saved["sites"]["femoral_neck"]["n"] == 44
    assert saved["sites"] == json.loads((folder / "bundle" / "manifest.json").read_text())["guard"]["int8"]
    assert "44 hips of 22 subjects" in (folder / "bundle" / "MODEL_CARD.md").read_text()
    assert bundle.manifest.guard["int8"]["total_hip"].passed


def test_the_interval_covers_the_hips_it_was_fitted_with(made: tuple[Path, Bundle]) -> None:
    folder, bundle = made
    _, guard = films.halves(folder / "cohort" / "films.csv")
    for precision in bundle.precisions("bmd"):
        with open_engine(bundle, "bmd", device="cpu", precision=precision, threads=1) as engine:
            raw = [engine.run({"image": batch}) for batch in films.batches(guard)]
        bmd, spread = (np.concatenate([answer[name] for answer in raw]) for name in ("bmd", "spread"))
        for column, site in enumerate(SITES):
            scale = bundle.calibration[precision].sites[site].scale
            covered = np.abs(bmd - films.dexa(guard))[:, column] <= scale * spread[:, column] * 1.001
            assert covered.sum() == 41  # ceil(45 * 0.9)


def test_int8_outside_its_budget_is_refused(made: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bundle = made
    impossible = dataclasses.replace(LIMITS, p99_shift_gcm2=0.0)
    monkeypatch.setattr("export.line.compare", partial(compare, limits=impossible))
    # the networks are those of the bundle; exporting them again would only take time
    monkeypatch.setattr(
        "export.line.onnx_from_run", lambda name, _, path: len(shutil.copy(bundle.model_path(name), path).name)
    )
    table = folder / "cohort" / "films.csv"
    with pytest.raises(BundleError, match=r"INT8 refused.*FAILED"):
        export_bundle(folder / "run", folder / "finder", table, folder / "bundle", STATEMENT, finder_numbers={})
    assert open_bundle(folder / "bundle").digest == bundle.digest  # the old one stays


def test_the_command_makes_the_same_bundle_and_names_no_path(
    made: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, bundle = made
    monkeypatch.setattr("export.line.onnx_from_run", lambda name, _, path: copied(name, path))
    monkeypatch.setattr("export.line.finder_plausibility", lambda *_: {"min_peak": 0.2})

    def copied(name: str, path: Path) -> float:
        shutil.copy(bundle.model_path(name), path)
        return 0.0

    export_command(
        run=folder / "run",
        finder=folder / "finder",
        table=folder / "cohort" / "films.csv",
        out=tmp_path / "out",
        version="named",
    )
    made_again = open_bundle(tmp_path / "out")
    assert made_again.manifest.version == "named"
    assert made_again.manifest.files["bmd.int8.onnx"] == bundle.manifest.files["bmd.int8.onnx"]
    assert made_again.manifest.provenance.command == "bmd-edge export run --finder finder --table films.csv"
    assert "phantom" in made_again.manifest.validity.notice
    printed = capsys.readouterr()
    assert made_again.digest in printed.out
    assert "INT8 ranges by" in printed.err


def test_halves_share_no_subject_and_stay_the_same(made: tuple[Path, Bundle]) -> None:
    table = made[0] / "cohort" / "films.csv"
    ranges, guard = films.halves(table)
    assert len(ranges) + len(guard) == 88
    assert not {row.subject for row in ranges} & {row.subject for row in guard}
    assert films.halves(table) == (ranges, guard)


def test_too_few_subjects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"films\.csv: 39 subjects .* 40 or more"):
        films.halves(write_cohort(tmp_path / "few", subjects=39))
    with pytest.raises(TableError, match="0 subjects"):
        films.halves(write_cohort(tmp_path / "other", split="train"))


def test_images_are_the_middle_of_the_files(made: tuple[Path, Bundle]) -> None:
    rows = read_table(made[0] / "cohort" / "films.csv")[:3]
    found = [image for batch in films.batches(rows, size=2) for image in batch]
    for row, image in zip(rows, found, strict=True):
        with Image.open(row.film_path) as stored:
            middle = np.asarray(stored)[16:240, 16:240].astype(np.float32).reshape(112, 2, 112, 2).mean((1, 3))
        np.testing.assert_allclose(image, normalize(middle / 65535, BMD), atol=1e-5)


def test_an_unusable_image_names_its_film(made: tuple[Path, Bundle], tmp_path: Path) -> None:
    row = read_table(made[0] / "cohort" / "films.csv")[0]
    Image.fromarray(np.zeros((200, 200), np.uint16)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in ("small.png", "broken.png", "missing.png"):
        with pytest.raises(TableError, match=r"film roi/000000\.png"):
            list(films.batches([dataclasses.replace(row, film_path=tmp_path / name)]))


def test_golden_inputs_are_made_up_and_always_the_same() -> None:
    image = golden_input(BMD)
    assert image.shape == (2, 1, 112, 112)
    assert (image.min(), image.max()) == (0, 1)
    np.testing.assert_array_equal(image, golden_input(BMD))
    assert np.abs(image[0] - image[1]).mean() > 0.05


def test_accuracy_is_that_of_the_textbook() -> None:
    truth = np.array([[0.5, 0.6], [0.7, 0.8], [0.9, 0.7]])
    figures = accuracy(truth + np.array([0.1, -0.02]), truth)
    assert figures["femoral_neck"] == pytest.approx({"n": 3, "r": 1.0, "rmse_gcm2": 0.1, "bias_gcm2": 0.1})
    assert figures["total_hip"]["bias_gcm2"] == pytest.approx(-0.02)
