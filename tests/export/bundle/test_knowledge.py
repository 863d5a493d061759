"""Networks that were made to know nothing, only age and sex, somebody else's BMD, or the BMD: which become a bundle."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from export.bundle.calibration_films import batches
from export.make_bundle import export_bundle
from tests.support.small_runs import KWARGS, STATEMENT, finder_part, write_run
from trainer.networks.build import build

SUBJECTS = {"train": 100, "calibrate": 70}


def people(folder: Path) -> list[HipRow]:
    """Two hips each, with an image that shows the BMD and one that shows no more than age and sex say of it."""
    rng, rows = np.random.default_rng(0), []
    for split, count in SUBJECTS.items():
        for k in range(count):
            age, female, own = rng.uniform(50, 90), bool(rng.integers(2)), rng.normal(0, 0.09)
            expected = 0.85 - 0.004 * (age - 50) - 0.08 * female
            for side in "RL":
                neck = expected + own + rng.normal(0, 0.02)
                for shown, bmd in (("bmd", neck), ("person", expected)):
                    name = f"roi/{split}-{k}-{side}-{shown}.png"
                    pixels = rng.random((32, 32)).repeat(8, 0).repeat(8, 1) ** (1.5 - bmd)
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
    """A run whose last layer was fitted to the labels (n, 2) of these hips by ridge regression."""
    run = write_run(folder, "vgg11_se")
    weights = load_file(run / "checkpoint.safetensors")
    network = build("vgg11_se", **KWARGS["vgg11_se"]).eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        seen = torch.cat([network.embed(torch.from_numpy(batch)) for batch in batches(rows)]).double().numpy()
    middle, size = seen.mean(0), seen.std(0) + 1e-12
    x, y = (seen - middle) / size, (labels - labels.mean(0)) / 0.1
    head = np.linalg.solve(x.T @ x + 3 * np.eye(x.shape[1]), x.T @ y).T / size
    weights["bmd_head.weight"] = torch.from_numpy(np.ascontiguousarray(head, np.float32))
    bias = (labels.mean(0) - KWARGS["vgg11_se"]["label_mean"]) / 0.1 - head @ middle
    weights["bmd_head.bias"] = torch.from_numpy(bias.astype(np.float32))
    save_file(weights, run / "checkpoint.safetensors")
    return run


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[HipRow]]:
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "roi").mkdir()
    rows = people(folder)
    for what in ("bmd", "person"):
        write_table(folder / f"{what}.csv", showing(rows, what, folder))
    return folder, rows


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
    return export_bundle([run], folder / f"{what}.csv", out, made, finder=finder_part(folder), int8=False)


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
        assert (site.mean.hips, site.mean.subjects) == (70, 35)
        assert site.mean.ratio < site.person.ratio < 0.8
    assert "against" in (bundle.root / "MODEL_CARD.md").read_text().split("What the films add")[1]


@pytest.mark.parametrize(
    ("what", "exchanged", "codes"),
    [
        ("bmd", True, "no_better_than_mean, no_better_than_person"),
        ("person", False, "no_better_than_person"),
    ],
)
def test_one_that_knows_no_more_than_the_person_is_refused(
    cohorts: tuple[Path, list[HipRow]], what: str, exchanged: bool, codes: str
) -> None:
    with pytest.raises(BundleError, match=rf"refused \({codes}\).*RMSE 0.*70 hips of 35 subjects.*--unproven REASON"):
        exported(*cohorts, what, exchanged)
    assert not list(cohorts[0].glob(f"{what}{'-exchanged' if exchanged else ''}-*.bundle"))


def test_a_reason_makes_the_bundle_and_stands_beside_every_number(cohorts: tuple[Path, list[HipRow]]) -> None:
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


def test_a_bundle_of_before_says_nothing_and_keeps_its_t_scores(cohorts: tuple[Path, list[HipRow]]) -> None:
    bundle = exported(*cohorts, "bmd")
    text = json.loads((bundle.root / "manifest.json").read_text())
    (bundle.root / "manifest.json").write_text(json.dumps({k: v for k, v in text.items() if k != "knowledge"}))
    before = read_bundle(bundle.root)
    assert before.manifest.knowledge is None
    assert before.withheld("fp32") is None
    text["knowledge"]["precisions"]["fp32"].pop("total_hip")
    (bundle.root / "manifest.json").write_text(json.dumps(text))
    with pytest.raises(BundleError, match="knowledge does not cover fp32 at every site"):
        read_bundle(bundle.root)
