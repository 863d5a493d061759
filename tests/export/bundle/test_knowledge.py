"""Networks that were made to know nothing, only age and sex, somebody else's BMD, or the BMD: which become a bundle."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from export.bundle.calibration_films import batches
from export.bundle.finder import Finder
from export.make_bundle import Options, export_bundle
from tests.support.bundles import tiny_network
from tests.support.screening import plausibility
from tests.support.small_runs import STATEMENT

FINDER = Finder(tiny_network("finder"), plausibility(8), {"network": "tiny"})
SUBJECTS = {"train": 60, "calibrate": 60}


def people(folder: Path) -> list[HipRow]:
    """Two hips each, with an image that shows the BMD and one that shows no more than age and sex say of it."""
    rng, rows = np.random.default_rng(0), []
    for split, count in SUBJECTS.items():
        for k in range(count):
            age, female, own = rng.uniform(50, 90), bool(rng.integers(2)), rng.normal(0, 0.09)
            expected = 1.05 - 0.008 * (age - 50) - 0.15 * female
            for side in "RL":
                neck = expected + own + rng.normal(0, 0.02)
                for shown, bmd in (("bmd", neck), ("person", expected)):
                    name = f"roi/{split}-{k}-{side}-{shown}.png"
                    pixels = rng.random((32, 32)).repeat(8, 0).repeat(8, 1) ** (2.0 - bmd)
                    Image.fromarray((pixels * 60_000).astype(np.uint16)).save(folder / name)
                rows.append(
                    HipRow(
                        film=f"roi/{split}-{k}-{side}-bmd.png",
                        subject=f"{split} {k}",
                        side=side,
                        split=split,
                        age_years=round(age, 1),
                        sex="F" if female else "M",
                        bmd_gcm2=dict(zip(SITES, (round(neck, 4), round(neck + 0.1, 4)), strict=True)),
                        scale="hologic",
                        extra={"x_image": "roi", "x_spacing_mm": "0.65", "x_maker_style": "AB"[k % 2]},
                    )
                )
    return rows


def showing(rows: list[HipRow], what: str, folder: Path) -> list[HipRow]:
    films = [row.film.replace("-bmd", f"-{what}") for row in rows]
    return [dataclasses.replace(row, film=film, film_path=folder / film) for row, film in zip(rows, films, strict=True)]


def trained(folder: Path, rows: list[HipRow], labels: np.ndarray) -> Path:
    """A run folder with an ONNX file whose last layer is a ridge regression on the labels (n, 2) of these hips."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"network": "tiny", "kwargs": {}}))
    (folder / "split.json").write_text(json.dumps({"train": sorted({row.subject for row in rows})}))
    (folder / "checkpoint.safetensors").write_bytes(b"of no use")
    model = onnx.load_from_string(tiny_network("bmd"))
    onnx.save(model, folder / "bmd.onnx")
    with OnnxEngine(folder / "bmd.onnx", threads=1) as engine:
        seen = np.concatenate([engine.run({"image": batch})["embedding"] for batch in batches(rows)]).astype(np.float64)
    middle, size = seen.mean(0), seen.std(0) + 1e-9
    x = (seen - middle) / size
    head = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ (labels - labels.mean(0))) / size[:, None]
    fitted = {"wa": head, "ba": labels.mean(0) - middle @ head}
    for weight in model.graph.initializer:
        if weight.name in fitted:
            weight.CopyFrom(numpy_helper.from_array(fitted[weight.name].astype(np.float32), weight.name))
    onnx.save(model, folder / "bmd.onnx")
    return folder


def copied(_name: str, run: Path, path: Path, _others: object) -> float:
    """Stands for the export with torch, which has tests of its own."""
    shutil.copy(run / "bmd.onnx", path)
    return 0.0


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[HipRow]]]:
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "roi").mkdir()
    rows = people(folder)
    for what in ("bmd", "person"):
        write_table(folder / f"{what}.csv", showing(rows, what, folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.make_bundle.onnx_from_run", copied)
        yield folder, rows


def exported(
    folder: Path, rows: list[HipRow], what: str, exchanged: bool = False, unproven: str | None = None
) -> VerifiedBundle:
    learned = [row for row in showing(rows, what, folder) if row.split == "train"]
    labels = np.array([[row.bmd_gcm2[site] for site in SITES] for row in learned])
    name = f"{what}{'-exchanged' if exchanged else ''}-{len(list(folder.iterdir()))}"
    order = np.random.default_rng(1).permutation(len(labels)) if exchanged else np.arange(len(labels))
    run = trained(folder / name, learned, labels[order])
    made = dataclasses.replace(STATEMENT, unproven=unproven)
    out = folder / f"{name}.bundle"
    return export_bundle([run], folder / f"{what}.csv", out, made, finder=FINDER, options=Options(int8=False))


def test_a_network_that_knows_the_bmd_becomes_a_bundle_with_its_figures(cohorts: tuple[Path, list[HipRow]]) -> None:
    bundle = exported(*cohorts, "bmd", unproven="a reason that nobody needs")
    known = bundle.manifest.knowledge
    assert known is not None
    assert known.unproven is None
    assert bundle.withheld("fp32") is None
    assert bundle.manifest.validity.notice == STATEMENT.notice
    for site in known.precisions["fp32"].values():
        assert site.person is not None
        assert site.person.knows == ("age", "sex")
        assert (site.mean.hips, site.mean.subjects) == (60, 30)
        assert site.mean.ratio < site.person.ratio < 0.8
    assert "against" in (bundle.root / "MODEL_CARD.md").read_text().split("What the films add")[1]

    text = json.loads((bundle.root / "manifest.json").read_text())
    (bundle.root / "manifest.json").write_text(json.dumps({k: v for k, v in text.items() if k != "knowledge"}))
    before = read_bundle(bundle.root)  # one that was made before it was measured: nothing is said, nothing withheld
    assert before.manifest.knowledge is None
    assert before.withheld("fp32") is None
    text["knowledge"]["precisions"]["fp32"].pop("total_hip")
    (bundle.root / "manifest.json").write_text(json.dumps(text))
    with pytest.raises(BundleError, match="knowledge does not cover fp32 at every site"):
        read_bundle(bundle.root)


def test_one_that_learned_exchanged_labels_is_refused(cohorts: tuple[Path, list[HipRow]]) -> None:
    both = "no_better_than_mean, no_better_than_person"
    with pytest.raises(BundleError, match=rf"refused \({both}\).*RMSE 0.*60 hips of 30 subjects.*--unproven REASON"):
        exported(*cohorts, "bmd", exchanged=True)
    assert not list(cohorts[0].glob("bmd-exchanged-*.bundle"))


def test_one_that_knows_only_age_and_sex_needs_a_reason_that_stands_beside_every_number(
    cohorts: tuple[Path, list[HipRow]],
) -> None:
    with pytest.raises(BundleError, match=r"refused \(no_better_than_person\).*of age and sex, ratio"):
        exported(*cohorts, "person")
    bundle = exported(*cohorts, "person", unproven="a course for students")
    assert bundle.withheld("fp32") == "not_shown"
    assert "not shown to know more" in bundle.manifest.validity.notice
    assert bundle.manifest.validity.notice.endswith("a course for students")
    assert "a course for students" in (bundle.root / "MODEL_CARD.md").read_text()
    text = json.loads((bundle.root / "manifest.json").read_text())
    text["knowledge"]["unproven"] = None
    (bundle.root / "manifest.json").write_text(json.dumps(text))
    with pytest.raises(BundleError, match=r"knows too little \(no_better_than_person\), without a reason"):
        read_bundle(bundle.root)
