"""The whole line, small: untrained networks of the trainer, ROI images on disk, one bundle."""

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import BundleError, TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table, write_table
from export.bundle import calibration_films
from export.bundle.finder import Finder, finder_from_bundle
from export.commands import export as export_command
from export.int8.ranges import METHODS
from export.make_bundle import Statement, accuracy, export_bundle
from export.onnx_file.from_run import SPECS, golden_input, onnx_from_run
from export.report.range_memory import report_memory
from tests.local_paths import local_paths
from tests.screening import plausibility
from trainer.images.cut_rois import CutOutcome
from trainer.networks.build import build

STATEMENT = Statement(
    version="tiny", created="2026-01-01", command="bmd-edge export tiny", training_data="noise", notice="Of no use."
)
KWARGS = {
    "vgg11_se": {"width": 0.05, "label_mean": [0.7, 0.8], "label_sd": [0.1, 0.1]},
    "finder": {"channels": [8] * 5},
}
MADE_UP = plausibility(64, min_peak=0.2)
FEW = dataclasses.replace(LIMITS, min_hips=44, maker_min_hips=20)


@pytest.fixture(scope="module", autouse=True)
def few_hips_are_enough() -> Iterator[None]:
    """Only here: a thousand hips would take a minute. The limit itself is tested below and with the guard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.make_bundle.LIMITS", FEW)
        patch.setattr("bmd_edge.bundle.verify.LIMITS", FEW)
        yield


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


def finder_part(folder: Path) -> Finder:
    """The tiny finder of a run, with a made-up plausibility."""
    path = folder / "finder.onnx"
    if not path.is_file():
        onnx_from_run("finder", write_run(folder / "finder", "finder"), path)
    return Finder(path.read_bytes(), MADE_UP, {"network": "finder"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VerifiedBundle]:
    folder = tmp_path_factory.mktemp("line")
    run, table = write_run(folder / "run", "vgg11_se"), write_cohort(folder / "cohort")
    bundle = export_bundle(run, table, folder / "bundle", STATEMENT, finder=finder_part(folder))
    return folder, bundle


def test_the_bundle_holds_what_the_runtime_needs(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    assert read_bundle(folder / "bundle").digest == bundle.digest
    assert bundle.precisions("bmd") == ("fp32", "int8")
    assert bundle.inputs == SPECS
    assert bundle.manifest.plausibility == MADE_UP
    assert {site: numbers.n for site, numbers in bundle.calibration["int8"].sites.items()} == dict.fromkeys(SITES, 44)
    with open_engine(bundle, "finder", device="cpu") as finder, open_engine(bundle, "bmd", device="cpu") as bmd:
        assert bmd.precision == "int8"
        assert set(bmd.outputs) == {"bmd", "spread", "embedding"}
        assert finder.outputs["heatmaps"].shape == (None, 6, 128, 128)
        assert finder.outputs["kind"].shape == (None, 6)


def test_the_manifest_says_where_it_comes_from(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    provenance = bundle.manifest.provenance
    assert provenance.calibration_films is not None
    assert provenance.calibration_films.ranges_subjects == provenance.calibration_films.guard_subjects == 22
    assert sum(provenance.calibration_films.makers.values()) == 88
    assert provenance.runs["bmd"]["network"] == "vgg11_se"
    assert str(folder) not in (folder / "bundle" / "manifest.json").read_text()


def test_dexa_of_another_scale_is_judged_on_the_hologic_scale(tmp_path: Path) -> None:
    """Guard, interval and the manifest's figures: T = -1 of a Lunar scanner is T = -1 here too."""
    lunar = {"femoral_neck": (0.821 + 0.023) / 0.939, "total_hip": (0.832 + 0.031) / 0.979}  # of the sBMD at T = -1
    table = write_cohort(tmp_path)
    rows = [dataclasses.replace(row, scale="lunar", bmd_gcm2=lunar) for row in read_table(table)]
    hologic = [(0.821 - 0.019) / 1.087, (0.832 - 0.006) / 1.008]
    np.testing.assert_allclose(calibration_films.dexa(rows), np.tile(hologic, (len(rows), 1)), atol=1e-9)
    np.testing.assert_array_equal(calibration_films.guard_hips(rows).dexa_gcm2, calibration_films.dexa(rows))
    assert calibration_films.facts(table, rows[:40], rows[40:]).bmd_mean_gcm2 == dict(
        zip(SITES, np.round(hologic, 4), strict=True)
    )


def test_no_stack_trace_and_no_local_path_is_in_any_network(made: tuple[Path, VerifiedBundle]) -> None:
    folder, _ = made
    for path in (folder / "bundle").glob("*.onnx"):
        raw = path.read_bytes()
        assert local_paths(raw) == []
        assert b"stack_trace" not in raw
        assert str(folder).encode() not in raw
        assert str(Path(__file__).parents[2]).encode() not in raw


def test_a_film_that_was_learned_from_cannot_judge(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    folder, _ = made
    run = write_run(tmp_path / "knowing", "vgg11_se")
    (run / "split.json").write_text(json.dumps({"train": ["t1"], "val": ["s3"]}))
    with pytest.raises(
        TableError, match="subject s3: of the split calibrate here, but the run knowing knows it from val"
    ):
        export_bundle(
            run, folder / "cohort" / "films.csv", tmp_path / "out", STATEMENT, finder=Finder(b"", {}, {}), int8=False
        )
    assert not (tmp_path / "out").exists()
    row = read_table(folder / "cohort" / "films.csv")[6]
    calibration_films.check_apart(
        run, [dataclasses.replace(row, split="val")]
    )  # what chose a checkpoint may be measured as such
    (run / "split.json").write_text(json.dumps({"train": ["s3"]}))
    with pytest.raises(TableError, match="knows it from train"):
        calibration_films.check_apart(run, [dataclasses.replace(row, split="train")])


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope is no run folder: it has no split\.json"):
        calibration_films.check_apart(tmp_path / "nope", [])


@pytest.mark.parametrize("split", ["train", "val", "test", "calibrate"])
def test_a_film_under_two_names_is_refused(made: tuple[Path, VerifiedBundle], tmp_path: Path, split: str) -> None:
    folder, _ = made
    shutil.copytree(folder / "cohort", tmp_path / "cohort")
    table = tmp_path / "cohort" / "films.csv"
    rows = read_table(table)
    shutil.copy(rows[5].film_path, tmp_path / "cohort" / "roi" / "again.png")
    write_table(table, [*rows, dataclasses.replace(rows[5], film="roi/again.png", subject="other", split=split)])
    with pytest.raises(TableError, match=r"roi/\S+ of the split calibrate is the same as roi/\S+ of the split"):
        calibration_films.halves(table)


def test_films_of_one_maker_are_refused(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    folder, _ = made
    shutil.copytree(folder / "cohort", tmp_path / "cohort")
    table = tmp_path / "cohort" / "films.csv"
    rows = read_table(table)

    def of(maker: str | None, style: str | None) -> None:
        extra = {"x_image": "roi", "x_spacing_mm": "0.65"} | ({"x_maker_style": style} if style else {})
        write_table(table, [dataclasses.replace(row, maker=maker, extra=extra) for row in rows])

    of("Acme", None)
    with pytest.raises(TableError, match=r"one maker \(Acme\).*add films of a second one"):
        calibration_films.halves(table)
    of(None, None)
    with pytest.raises(TableError, match=r"one maker \(not stated\)"):
        calibration_films.halves(table)
    of("Acme", "random")  # the phantom's continuous styles
    assert len(calibration_films.halves(table)[1]) == 44


def test_too_few_guard_hips_are_refused_before_anything_is_made(
    made: tuple[Path, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made
    monkeypatch.setattr("export.make_bundle.LIMITS", LIMITS)
    table = folder / "cohort" / "films.csv"
    with pytest.raises(TableError, match=r"44 hips .* 1000 or more are needed: put 2000 labelled hips .* --no-int8"):
        export_bundle(folder / "run", table, tmp_path / "out", STATEMENT, finder=finder_part(folder))
    assert not (tmp_path / "out").exists()


def test_a_guard_of_too_few_hips_never_looks_passed(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made
    monkeypatch.setattr("bmd_edge.bundle.verify.LIMITS", LIMITS)
    with pytest.raises(BundleError, match="outside its error budget: femoral_neck, judged on 44 hips, 1000 or more"):
        read_bundle(folder / "bundle")


def test_the_guard_is_in_the_report_the_manifest_and_the_card(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    saved = json.loads((folder / "run" / "export_report.json").read_text())
    guard = saved["int8"]["guard"]
    assert guard == json.loads((folder / "bundle" / "manifest.json").read_text())["guard"]["int8"]
    assert (guard["femoral_neck"]["n"], set(guard["femoral_neck"]["per_maker"])) == (44, {"A", "B"})
    card = (folder / "bundle" / "MODEL_CARD.md").read_text()
    assert "44 hips of 22 subjects" in card
    neck = bundle.manifest.guard["int8"]["femoral_neck"]
    assert f"| mean shift, <= 0.002 g/cm2 | {neck.mean_shift_gcm2:+.4f} |" in card
    assert "| verdict | passed | passed |" in card
    assert bundle.manifest.guard["int8"]["total_hip"].passed


def test_the_report_says_what_was_tried(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    report = json.loads((folder / "run" / "export_report.json").read_text())
    int8, made_with = report["int8"], bundle.manifest.provenance.quantization
    assert made_with is not None
    assert set(int8["range_methods"]) == set(METHODS)
    assert made_with.range_method == min(int8["range_methods"], key=lambda name: int8["range_methods"][name]["rms"])
    assert len(int8["layer_sensitivity"]) == made_with.layers == 7  # the first convolution stays fp32
    assert set(report["accuracy"]) == {"fp32", "int8"}


def test_the_report_is_one_page_that_stands_alone(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    html = (folder / "run" / "export_report.html").read_text()
    assert "Research use only, not for diagnosis." in html
    assert "Of no use." in html  # the bundle's notice
    assert "INT8 is inside its error budget." in html
    assert html.count("data:image/svg+xml;base64,") == 2 * 3 + 2
    assert not re.search(r"<script|(src|href)=.(?!data:)|url\(|https?://", html)
    assert str(folder) not in html
    neck = bundle.manifest.guard["int8"]["femoral_neck"]
    assert f"<td>{neck.mean_shift_gcm2:+.4f}</td>" in html
    report = json.loads((folder / "run" / "export_report.json").read_text())
    for name in ("bmd.onnx", "bmd.int8.onnx", "finder.onnx"):
        assert report["bytes"][name] == bundle.manifest.files[name].bytes
    assert {(one["precision"], one["batch"]) for one in report["latency"]} == {
        ("fp32", 1), ("fp32", 8), ("int8", 1), ("int8", 8),
    }  # fmt: skip
    assert all(0 < one["median_ms"] <= one["p90_ms"] for one in report["latency"])
    assert {one["speedup"] for one in report["latency"] if one["precision"] == "fp32"} == {1.0}


def test_memory_is_watched_from_the_hundredth_film_on(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    ranges, _ = calibration_films.halves(folder / "cohort" / "films.csv")
    shown = iter(range(0, 10_000, 8))
    grown = report_memory(bundle.model_path("bmd"), ranges, 160, resident=lambda: 10**8 + 500 * next(shown))
    assert grown.slope_kb_per_film == pytest.approx(0.5)
    assert (grown.first_film, grown.films, grown.distinct_films) == (104, 160, 44)
    assert "160 films (44 films, repeated)" in grown.sentence()
    flat = report_memory(bundle.model_path("bmd"), ranges, 160)
    assert 50 < flat.peak_rss_mb < 4000
    assert flat.growth_mb < 20


def test_a_bundles_finder_is_taken_over(made: tuple[Path, VerifiedBundle]) -> None:
    _, bundle = made
    part = finder_from_bundle(bundle)
    assert part.onnx == bundle.model_bytes("finder")
    assert part.plausibility == MADE_UP
    assert part.facts == {"network": "finder", "bundle_digest": bundle.digest}
    other = dataclasses.replace(bundle, inputs={**bundle.inputs, "finder_survey": BMD})
    with pytest.raises(BundleError, match="reads finder_survey in another way"):
        finder_from_bundle(other)


def test_the_interval_covers_the_hips_it_was_fitted_with(made: tuple[Path, VerifiedBundle]) -> None:
    folder, bundle = made
    _, guard = calibration_films.halves(folder / "cohort" / "films.csv")
    for precision in bundle.precisions("bmd"):
        with open_engine(bundle, "bmd", device="cpu", precision=precision, threads=1) as engine:
            raw = [engine.run({"image": batch}) for batch in calibration_films.batches(guard)]
        bmd, spread = (np.concatenate([answer[name] for answer in raw]) for name in ("bmd", "spread"))
        for column, site in enumerate(SITES):
            scale = bundle.calibration[precision].sites[site].scale
            covered = np.abs(bmd - calibration_films.dexa(guard))[:, column] <= scale * spread[:, column] * 1.001
            assert covered.sum() == 41  # ceil(45 * 0.9)


def test_int8_outside_its_budget_is_refused_and_reported(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, bundle = made
    monkeypatch.setattr("export.make_bundle.LIMITS", dataclasses.replace(FEW, p99_shift_gcm2=1e-12))
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path: copied(bundle, name, path))
    shutil.copytree(folder / "run", tmp_path / "run")
    table = folder / "cohort" / "films.csv"
    with pytest.raises(BundleError, match=r"INT8 refused.*99th percentile.*allowed 1e-12.*--no-int8"):
        export_bundle(tmp_path / "run", table, folder / "bundle", STATEMENT, finder=finder_part(folder))
    assert read_bundle(folder / "bundle").digest == bundle.digest  # the old one stays
    report = json.loads((tmp_path / "run" / "export_report.json").read_text())["int8"]
    assert not report["passed"]
    assert "<strong>INT8 is refused:</strong>" in (tmp_path / "run" / "export_report.html").read_text()
    assert "99th percentile" in report["failures"][0]
    assert len(report["quantization"]["layers_fp32"]) == 3  # half of the layers did not help
    assert report["guard_runs"] == 1  # no mix has room on the range films, so the guard sees the last one only


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
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path: copied(bundle, name, path))
    shutil.copytree(folder / "run", tmp_path / "run")
    command = {"run": tmp_path / "run", "table": folder / "cohort" / "films.csv", "out": tmp_path / "out"}
    with pytest.raises(UsageError, match="say what the network was trained on, --training-data"):
        export_command(**command)
    with pytest.raises(UsageError, match="give one of them"):
        export_command(**command, finder=folder / "finder", finder_bundle=folder / "bundle")
    export_command(**command, finder_bundle=folder / "bundle", version="named", training_data="noise")
    made_again = read_bundle(tmp_path / "out")
    assert made_again.manifest.version == "named"
    for name in ("bmd.int8.onnx", "finder.onnx"):
        assert made_again.manifest.files[name] == bundle.manifest.files[name]
    assert made_again.manifest.plausibility == bundle.manifest.plausibility
    assert made_again.manifest.provenance.runs["finder"]["bundle_digest"] == bundle.digest
    assert made_again.manifest.provenance.command == "bmd-edge export run --table films.csv"
    assert made_again.manifest.validity.notice == "BMD network trained on noise."
    printed = capsys.readouterr()
    assert made_again.digest in printed.out
    assert "ranges by" in printed.err


def test_halves_share_no_subject_and_stay_the_same(made: tuple[Path, VerifiedBundle]) -> None:
    table = made[0] / "cohort" / "films.csv"
    ranges, guard = calibration_films.halves(table)
    assert len(ranges) + len(guard) == 88
    assert not {row.subject for row in ranges} & {row.subject for row in guard}
    assert calibration_films.halves(table) == (ranges, guard)


def test_dicom_films_are_cut_as_in_training(
    made: tuple[Path, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hospital's table names DICOM films: the export uses the regions that training used, from the same cache."""
    rois, said = made[0] / "cohort" / "films.csv", []
    refused = CutOutcome(read_table(rois)[0], None, "implant")
    monkeypatch.setattr("export.bundle.calibration_films.roi_table", lambda _: (rois, [refused]))
    assert calibration_films.table_of_rois(tmp_path / "ours.csv", said.append) == rois
    assert said == ["ours.csv: 1 hips are left out, as the finder refuses them"]


def test_too_few_subjects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"films\.csv: 39 subjects .* 40 or more"):
        calibration_films.halves(write_cohort(tmp_path / "few", subjects=39))
    with pytest.raises(TableError, match="0 subjects"):
        calibration_films.halves(write_cohort(tmp_path / "other", split="train"))


def test_images_are_the_middle_of_the_files(made: tuple[Path, VerifiedBundle]) -> None:
    rows = read_table(made[0] / "cohort" / "films.csv")[:3]
    found = [image for batch in calibration_films.batches(rows, size=2) for image in batch]
    for row, image in zip(rows, found, strict=True):
        with Image.open(row.film_path) as stored:
            middle = np.asarray(stored)[16:240, 16:240].astype(np.float32).reshape(112, 2, 112, 2).mean((1, 3))
        np.testing.assert_allclose(image, normalize(middle / 65535, BMD), atol=1e-5)


def test_an_unusable_image_names_its_film(made: tuple[Path, VerifiedBundle], tmp_path: Path) -> None:
    row = read_table(made[0] / "cohort" / "films.csv")[0]
    Image.fromarray(np.zeros((200, 200), np.uint16)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    for name in ("small.png", "broken.png", "missing.png"):
        with pytest.raises(TableError, match=r"film roi/000000\.png"):
            list(calibration_films.batches([dataclasses.replace(row, film_path=tmp_path / name)]))


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
