import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from bmd_edge.bundle.network_input import BMD
from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from export.onnx_file.from_run import inputs_of_run
from tests.trainer.small_trainings import SMALL_BMD, metrics, with_unlabelled
from trainer.images.roi_files import roi_image
from trainer.methods.supervised import BmdTask, estimates, label_scale, training_rows
from trainer.networks.build import load_run
from trainer.run.loop import train
from trainer.run.settings import BmdConfig


def test_bmd_batch_shows_every_film_once(cohort: Path) -> None:
    task = BmdTask(BmdConfig(batch=9, width=0.125), cohort)
    seen = np.concatenate([task.picks(63, 9, 2, step) for step in range(task.steps)])
    assert sorted(seen) == list(range(63))
    assert len(task.train.rows) == 63
    images = task.views(task.train, seen[:9], np.random.default_rng(0))
    assert images.shape == (9, 1, 112, 112)
    assert (images.amin(), images.amax()) == (0, 1)


def test_more_steps_than_films_show_each_as_often(cohort: Path) -> None:
    task = BmdTask(BmdConfig(batch=10, steps=20, width=0.125), cohort)
    seen = np.concatenate([task.picks(63, 10, 0, step) for step in range(20)])
    assert len(seen) == 200
    assert set(np.bincount(seen, minlength=63)) == {3, 4}
    assert not np.array_equal(seen, np.concatenate([task.picks(63, 10, 1, step) for step in range(20)]))


def test_unvaried_bmd_batch_is_the_runtime_image(cohort: Path) -> None:
    chosen = np.array([3, 7])
    for still in ({"augment": 0.0}, {"clean_share": 1.0}):
        task = BmdTask(BmdConfig(width=0.125, shift_mm=0, exact_share=1, **still), cohort)
        images = task.views(task.train, chosen, np.random.default_rng(0))
        for image, index in zip(images.numpy(), chosen, strict=True):
            assert image == pytest.approx(roi_image(task.train.pixels[index]), abs=1e-4)
    moved = BmdTask(BmdConfig(width=0.125, clean_share=1), cohort).views(task.train, chosen, np.random.default_rng(0))
    assert np.abs(moved.numpy() - images.numpy()).mean() > 0.01


def test_label_scale_survives_an_unlabelled_site() -> None:
    mean, sd = label_scale(np.array([[0.7, np.nan], [0.9, np.nan]], np.float32))
    assert mean == pytest.approx([0.8, 0])
    assert sd == pytest.approx([0.1, 1])


def test_too_few_labels(cohort: Path) -> None:
    rows = [row for row in read_table(cohort) if row.extra["x_image"] == "roi"][:30]
    write_table(cohort.with_name("few.csv"), rows)
    with pytest.raises(TableError, match="labelled hips in val; training needs 20"):
        BmdTask(BmdConfig(), cohort.with_name("few.csv"))


def test_only_films_without_a_label_are_revealed(cohort: Path) -> None:
    """The upper bound of all methods knows the truth of the unlabelled films, and of no film that judges."""
    table = with_unlabelled(cohort, 3, "revealed.csv")
    truth = {f"x_true_bmd_{site}": "0.7" for site in SITES}
    rows = [dataclasses.replace(row, extra={**row.extra, **truth}) for row in read_table(table)]
    rows[1:13:4] = [dataclasses.replace(row, split="test") for row in rows[1:13:4]]
    write_table(table, rows)
    learned = training_rows(table, dataclasses.replace(SMALL_BMD, reveal=True))
    assert {row.split for row in learned} == {"train", "unlabelled"}
    assert {row.subject for row in learned} == {row.subject for row in rows if row.split in ("train", "unlabelled")}


def test_training_may_start_from_another_run(cohort: Path, tmp_path: Path) -> None:
    """Its estimates too: the scale of the labels comes with the weights, whatever the labels of the new table are."""
    once = dataclasses.replace(SMALL_BMD, epochs=1)
    train(BmdTask(once, cohort), once, tmp_path / "first")
    rows = read_table(cohort)
    denser = [
        dataclasses.replace(row, bmd_gcm2={site: value and value + 0.2 for site, value in row.bmd_gcm2.items()})
        for row in rows
    ]
    write_table(cohort.with_name("denser.csv"), denser)
    config = dataclasses.replace(SMALL_BMD, init=str(tmp_path / "first"))
    task = BmdTask(config, cohort.with_name("denser.csv"))
    first, _ = estimates(load_run(tmp_path / "first"), task.val)
    assert estimates(task.network, task.val)[0] == pytest.approx(first, abs=1e-6)
    with pytest.raises(UsageError, match="another shape"):
        BmdTask(dataclasses.replace(config, network="resnet18"), cohort)


def test_patience_ends_a_training_early(cohort: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL_BMD, epochs=9, patience=2, lr=1e-12, ema=0.0)
    task = BmdTask(config, cohort)
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.9])
    task.validate = lambda _: {"val_score": next(scores)}  # type: ignore[method-assign]
    assert train(task, config, tmp_path / "run")["epoch"] == 1
    assert len(metrics(tmp_path / "run")) == 4


def test_loss_that_is_not_finite_is_an_error(cohort: Path, tmp_path: Path) -> None:
    task = BmdTask(SMALL_BMD, cohort)
    torch.nn.init.constant_(task.network.bmd_head.bias, torch.nan)
    with pytest.raises(UsageError, match="not finite in epoch 0, step 0"):
        train(task, SMALL_BMD, tmp_path / "run")


def paired(cohort: Path) -> Path:
    """The cohort's ROIs as four films of two hips each, and so on."""
    rows = [row for row in read_table(cohort) if row.extra["x_image"] == "roi"]
    told = [
        {"x_film": f"{row.split}{place // 2}", "x_view": f"{row.split}{place // 8}-{place % 2}"}
        for split in ("train", "val")
        for place, row in enumerate(row for row in rows if row.split == split)
    ]
    rows = sorted(rows, key=lambda row: row.split != "train")
    told_rows = [dataclasses.replace(row, extra={**row.extra, **more}) for row, more in zip(rows, told, strict=True)]
    write_table(cohort.with_name("paired.csv"), told_rows)
    return cohort.with_name("paired.csv")


PAIRED = dataclasses.replace(
    SMALL_BMD, difference_weight=1.0, view_weight=0.5, view_embedding_weight=0.1, triplet_across=True,
    other_films=1.0, reread_share=0.5, disc_share=0.6, size_px=160,
)  # fmt: skip


def test_an_epoch_takes_its_own_order_whichever_step_is_asked_for(cohort: Path) -> None:
    task, other = (BmdTask(PAIRED, paired(cohort)) for _ in range(2))
    steps = [(0, 1), (1, 0), (0, 0), (0, 1)]  # as a run that goes on where it stopped asks too
    asked = [task.labelled_picks(*step) for step in steps]
    assert (asked[0] == asked[3]).all()
    assert (asked[1] != asked[2]).any()
    assert (other.labelled_picks(1, 0) == asked[1]).all()


def test_a_batch_compares_hips_of_a_film_and_films_of_a_hip(cohort: Path, tmp_path: Path) -> None:
    task = BmdTask(PAIRED, paired(cohort))
    chosen = task.labelled_picks(0, 0)
    shared = [np.bincount(codes[chosen]).max() for codes in (task.pairs.film, task.pairs.view)]
    assert shared[0] == 2 <= shared[1]
    assert task.views(task.train, chosen, np.random.default_rng(0)).shape == (16, 1, 160, 160)
    logs = task.loss(np.random.default_rng(0), 0, 0)[1]
    assert min(logs["difference"], logs["view"], logs["view_embedding"]) > 0
    train(task, dataclasses.replace(PAIRED, epochs=1), tmp_path / "run")
    assert inputs_of_run(tmp_path / "run")["bmd"] == PAIRED.spec
    assert PAIRED.spec.side_mm == pytest.approx(BMD.side_mm)


def test_finer_pixels_show_the_same_square(cohort: Path) -> None:
    """Read at another size, a region is the same picture: its block means are those of the usual one."""
    fine = BmdConfig(size_px=224).spec
    task = BmdTask(BmdConfig(width=0.125, shift_mm=0, exact_share=1, clean_share=1, size_px=224), cohort)
    (seen,) = task.views(task.train, np.array([3]), np.random.default_rng(0)).numpy()
    assert seen == pytest.approx(roi_image(task.train.pixels[3], fine), abs=1e-4)
    coarse = roi_image(task.train.pixels[3])[0]
    assert np.corrcoef(seen[0].reshape(112, 2, 112, 2).mean((1, 3)).ravel(), coarse.ravel())[0, 1] > 0.999
