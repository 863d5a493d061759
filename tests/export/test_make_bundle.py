"""The whole line, small: untrained networks of the trainer, ROI images on disk, one bundle."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import BundleError, TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table, write_table
from export.bundle import calibration_films
from export.bundle.finder import Finder, finder_from_bundle
from export.make_bundle import Options, accuracy, export_bundle
from export.onnx_file.from_run import SPECS
from tests.support.small_runs import FEW, MADE_UP, STATEMENT, finder_part, local_paths, write_run

FP32 = Options(int8=False)


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
            [run],
            folder / "cohort" / "films.csv",
            tmp_path / "out",
            STATEMENT,
            finder=Finder(b"", {}, {}),
            options=FP32,
        )
    assert not (tmp_path / "out").exists()
    row = read_table(folder / "cohort" / "films.csv")[6]
    calibration_films.check_apart(
        run, [dataclasses.replace(row, split="val")]
    )  # what chose a checkpoint may be measured as such
    (run / "split.json").write_text(json.dumps({"train": ["s3"]}))
    with pytest.raises(TableError, match="knows it from train"):
        calibration_films.check_apart(run, [dataclasses.replace(row, split="train")])


def test_too_few_guard_hips_are_refused_before_anything_is_made(
    made: tuple[Path, VerifiedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made
    monkeypatch.setattr("export.make_bundle.LIMITS", LIMITS)
    table = folder / "cohort" / "films.csv"
    with pytest.raises(TableError, match=r"44 hips .* 1000 or more are needed: put 2000 labelled hips .* --no-int8"):
        export_bundle([folder / "run"], table, tmp_path / "out", STATEMENT, finder=finder_part(folder))
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
    monkeypatch.setattr("export.make_bundle.onnx_from_run", lambda name, _, path, *__: copied(bundle, name, path))
    shutil.copytree(folder / "run", tmp_path / "run")
    table = folder / "cohort" / "films.csv"
    with pytest.raises(BundleError, match=r"INT8 refused.*99th percentile.*allowed 1e-12.*--no-int8"):
        export_bundle([tmp_path / "run"], table, folder / "bundle", STATEMENT, finder=finder_part(folder))
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


def test_accuracy_is_that_of_the_textbook() -> None:
    truth = np.array([[0.5, 0.6], [0.7, 0.8], [0.9, 0.7]])
    figures = accuracy(truth + np.array([0.1, -0.02]), truth)
    assert figures["femoral_neck"] == pytest.approx({"n": 3, "r": 1.0, "rmse_gcm2": 0.1, "bias_gcm2": 0.1})
    assert figures["total_hip"]["bias_gcm2"] == pytest.approx(-0.02)


def test_several_runs_become_one_network_that_reads_its_own_input(
    made: tuple[Path, VerifiedBundle], tmp_path: Path
) -> None:
    folder, bundle = made
    spec = InputSpec("bmd", 128, 1.1375, 2.0, 98.0, disc_share=0.6)
    for name in ("one", "other"):
        run = write_run(tmp_path / name, "vgg11_se")
        facts = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**facts, "input": spec.facts()}))
    runs, table = [tmp_path / "one", tmp_path / "other"], folder / "cohort" / "films.csv"
    finder = finder_from_bundle(bundle)
    both = export_bundle(runs, table, tmp_path / "both", STATEMENT, finder=finder, options=FP32)
    assert both.inputs["bmd"] == spec
    assert [name for name in both.manifest.provenance.runs if name != "finder"] == ["bmd", "bmd_2"]
    with pytest.raises(UsageError, match="run reads another input than one"):
        export_bundle([runs[0], folder / "run"], table, tmp_path / "no", STATEMENT, finder=finder, options=FP32)


def test_stretched_estimates_spread_as_dexa_on_the_half_that_does_not_judge(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, bundle = made
    run, table = write_run(tmp_path / "run", "vgg11_se"), folder / "cohort" / "films.csv"
    weights = load_file(run / "checkpoint.safetensors")
    weights["bmd_head.weight"] *= 1e5  # untrained, it answers nearly the same for every film
    save_file(weights, run / "checkpoint.safetensors")
    options = {"finder": finder_from_bundle(bundle), "options": Options(int8=False, stretch=True)}
    with pytest.raises(BundleError, match=r"--stretch: r = .* at the femoral neck, 0.7 or more is needed"):
        export_bundle([run], table, tmp_path / "no", STATEMENT, **options)
    assert not (tmp_path / "no").exists()
    monkeypatch.setattr("calibration.fit.stretch.LEAST_R", -1.0)
    stretched = export_bundle([run], table, tmp_path / "stretched", STATEMENT, **options)
    ranges, _ = calibration_films.halves(table)
    with open_engine(stretched, "bmd", device="cpu", precision="fp32") as engine:
        found = np.concatenate([engine.run({"image": images})["bmd"] for images in calibration_films.batches(ranges)])
    dexa = calibration_films.dexa(ranges)
    np.testing.assert_allclose(found.mean(axis=0), dexa.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.std(axis=0), dexa.std(axis=0), rtol=0.05)
    facts = stretched.manifest.provenance.runs["bmd"]
    assert facts["stretch"].startswith("femoral_neck ")
    assert facts["stretch"] in (tmp_path / "stretched" / "MODEL_CARD.md").read_text()


def test_the_spread_is_fitted_on_the_half_that_does_not_judge(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, bundle = made
    run, table = write_run(tmp_path / "run", "vgg11_se"), folder / "cohort" / "films.csv"
    assert "spread" not in bundle.manifest.provenance.runs["bmd"]  # too few hips
    for module in ("export.make_bundle", "export.onnx_file.spread"):
        monkeypatch.setattr(f"{module}.LEAST_HIPS", 44)
    fitted = export_bundle([run], table, tmp_path / "out", STATEMENT, finder=finder_from_bundle(bundle), options=FP32)
    facts = fitted.manifest.provenance.runs["bmd"]
    assert facts["spread"] == "fitted on 44 hips that did not teach it"
    assert f"spread {facts['spread']}" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    ranges, _ = calibration_films.halves(table)
    dexa, found = calibration_films.dexa(ranges), []
    for one in (bundle, fitted):
        with open_engine(one, "bmd", device="cpu", precision="fp32") as engine:
            found.append([engine.run({"image": batch}) for batch in calibration_films.batches(ranges)])
    (before, _), (bmd, spread) = ([np.concatenate([b[n] for b in f]) for n in ("bmd", "spread")] for f in found)
    np.testing.assert_allclose(bmd, before, atol=1e-6)
    np.testing.assert_allclose(spread.mean(axis=0), np.abs(bmd - dexa).mean(axis=0), rtol=0.1)


def test_the_drift_reference_is_of_hips_as_they_are_met(
    made: tuple[Path, VerifiedBundle], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, bundle = made
    shutil.copytree(folder / "cohort", tmp_path / "cohort")
    table = tmp_path / "cohort" / "films.csv"
    rows = read_table(table)
    of = [{"x_population": "wide" if k % 3 == 0 else "screening"} for k in range(len(rows))]
    write_table(table, [dataclasses.replace(row, extra=row.extra | one) for row, one in zip(rows, of, strict=True)])
    seen: list[tuple[list[str], int]] = []

    def reference(rows: list[HipRow], bmd: np.ndarray, *answers: np.ndarray) -> None:
        assert {len(one) for one in answers} == {len(bmd)}
        seen.append(([row.extra["x_population"] for row in rows], len(bmd)))

    monkeypatch.setattr("export.make_bundle.reference_of", reference)
    run, finder = write_run(tmp_path / "run", "vgg11_se"), finder_from_bundle(bundle)
    export_bundle([run], table, tmp_path / "out", STATEMENT, finder=finder, options=FP32)
    ((people, answers),) = seen
    assert set(people) == {"screening"}
    assert len(people) == answers == calibration_films.as_met(calibration_films.halves(table)[1]).sum() < 44
