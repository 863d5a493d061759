import dataclasses
from pathlib import Path

import numpy as np
import pytest
import stand_in

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.bundle.network_input import BMD as BMD_SPEC
from bmd_edge.bundle.network_input import FINDER_CLOSEUP, FINDER_SURVEY, normalize
from bmd_edge.errors import TableError
from bmd_edge.film.area_average import resample
from bmd_edge.table.film_table import read_table, write_table
from trainer.images.finder_views import IGNORED_KIND, exact_closeup, exact_survey, nonsense, survey
from trainer.images.gray_png import floats, png16, read_png
from trainer.images.roi_files import read_rois, roi_image
from trainer.images.rows import read_rows
from trainer.images.whole_films import TrainingFilm, Window, cut, read_films
from trainer.methods.finder import FinderTask
from trainer.methods.supervised import BmdTask, label_scale
from trainer.run.settings import BmdConfig, FinderConfig


def films(cohort: Path) -> list[TrainingFilm]:
    return read_films(read_rows(cohort, "film", ["train", "val"]))


def changed(cohort: Path, where: str, **changes: object) -> Path:
    """The cohort's table with the first row of `x_image = where` changed."""
    rows = read_table(cohort)
    index = next(index for index, row in enumerate(rows) if row.extra["x_image"] == where)
    extra = {**rows[index].extra, **{key: str(value) for key, value in changes.items() if key.startswith("x_")}}
    other = {key: value for key, value in changes.items() if not key.startswith("x_")}
    rows[index] = dataclasses.replace(rows[index], extra={key: text for key, text in extra.items() if text}, **other)
    path = cohort.with_name("changed.csv")
    write_table(path, rows)
    return path


def test_a_roi_is_the_middle_of_the_png_as_the_runtime_sees_it(cohort: Path) -> None:
    rois = read_rois(read_rows(cohort, "roi", ["train"]))
    stored = read_png(rois.rows[3])
    seen = resample(stored, 16, 16, 224, 224, (112, 112)) / np.float32(65535)
    assert roi_image(rois.pixels[3]) == pytest.approx(normalize(seen, BMD_SPEC), abs=1e-4)


def test_outside_the_film_is_no_pixel_of_a_roi(cohort: Path) -> None:
    rows = read_rows(cohort, "roi", ["train"])
    stored = read_png(rows[3])
    stored[:101] = 0
    stand_in.write_png(cohort.parent / "roi/edge.png", stored)
    pixels = read_rois([dataclasses.replace(rows[3], film_path=cohort.parent / "roi/edge.png")]).pixels[0]
    assert np.isnan(floats(pixels)[:101]).all()
    assert np.isfinite(floats(pixels)[101:]).all()
    shown = (stored[16:240, 16:240] / np.float32(65535)).reshape(112, 2, 112, 2).mean((1, 3))
    shown[:43] = np.nan  # rows 84 and 85 of the window make one of the network's, which is half outside
    assert roi_image(pixels) == pytest.approx(normalize(shown, BMD_SPEC), abs=1e-6)


def test_the_darkest_pixel_of_a_film_is_not_outside(tmp_path: Path, cohort: Path) -> None:
    image = np.array([[0.0, -0.1, 1e-6, 0.5], [1.0, 1.2, np.nan, 0.25]], np.float32)
    path = tmp_path / "small.png"
    path.write_bytes(png16(image))
    row = dataclasses.replace(read_rows(cohort, "roi", ["train"])[0], film_path=path)
    shown = floats(read_png(row))
    assert np.array_equal(np.isnan(shown), np.isnan(image))
    assert shown == pytest.approx(np.clip(image, 0, 1), abs=1.01 / 65535, nan_ok=True)


def test_cut_keeps_landmarks_on_their_pixels(cohort: Path) -> None:
    """A mirrored, shifted, scaled window: a bright pixel at each landmark is where the landmark says."""
    film = next(film for film in films(cohort) if len(film.hips) == 2)
    for side, mirrored in (("R", False), ("L", True)):
        points = film.hips[side].landmarks_px
        for index in range(len(LANDMARKS)):
            x, y = points[index].astype(int)
            marked = np.zeros_like(film.pixels)
            marked[y, x] = 65535
            window = Window((points[2, 0] + 9.5, points[2, 1] - 4.2), 0.93, mirrored, (0, 0, *film.pixels.shape[::-1]))
            region, hip = cut(dataclasses.replace(film, pixels=marked), window, 256)
            assert hip is not None
            if np.isfinite(hip.landmarks_px[index]).all():
                row, col = np.unravel_index(int(np.nanargmax(region)), region.shape)
                assert np.hypot(*(hip.landmarks_px[index] - (col + 0.5, row + 0.5))) < 2.2


def test_crop_hides_pixels_and_landmarks(cohort: Path) -> None:
    film = next(film for film in films(cohort) if len(film.hips) == 2)
    bottom = int(film.hips["R"].landmarks_px[4, 1])
    crop = (0, 0, film.pixels.shape[1], bottom)
    region, hip = cut(film, Window((200.0, 150.0), 2.0, False, crop), 256)
    assert hip is not None
    assert np.isfinite(hip.landmarks_px[0]).all()
    assert np.isnan(hip.landmarks_px[4:]).all()
    assert np.isnan(region[int((bottom - 150) / 2 + 128) + 2 :]).all()


def test_views_name_the_canonical_hip(cohort: Path) -> None:
    everything = films(cohort)
    pelvis = next(film for film in everything if len(film.hips) == 2)
    single = next(film for film in everything if len(film.hips) == 1 and film.hips["L"].kind == "implant")
    nothing = next(film for film in everything if not film.hips)
    assert [exact_survey(pelvis, mirrored).kind for mirrored in (False, True)] == [0, 0]
    assert [exact_survey(single, mirrored).kind for mirrored in (False, True)] == [5, 1]
    assert [exact_survey(nothing, mirrored).kind for mirrored in (False, True)] == [5, 5]
    view = exact_closeup(single, single.hips["L"], np.random.default_rng(0))
    assert view.kind == 1
    assert view.spec is FINDER_CLOSEUP
    assert np.hypot(*(view.landmarks_px[[0, 3]].mean(0) - 128)) < 16
    # The head of a canonical hip lies to the image right of its greater trochanter.
    assert view.landmarks_px[0, 0] > view.landmarks_px[2, 0]


def test_cropped_hips_are_not_classed(cohort: Path) -> None:
    film = next(film for film in films(cohort) if len(film.hips) == 2)
    config = FinderConfig(crop_share=1.0)
    views = [survey(film, config, np.random.default_rng(seed)) for seed in range(60)]
    for view in views:
        assert view.spec is FINDER_SURVEY
        seen = np.isfinite(view.landmarks_px[:4]).all()
        assert view.kind == (0 if seen else IGNORED_KIND)
    assert {view.kind for view in views} == {0, IGNORED_KIND}


def test_nonsense_holds_no_hip(cohort: Path) -> None:
    for seed in range(12):
        view = nonsense(films(cohort)[0], FinderConfig(), np.random.default_rng(seed))
        assert view.kind == 5
        assert np.isnan(view.landmarks_px).all()


def test_finder_batch_replays_and_keeps_range(cohort: Path) -> None:
    task = FinderTask(FinderConfig(batch=12, channels=(16,) * 5), cohort)
    first, again, other = (task.batch(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all((a == b).logical_or(a.isnan()).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()
    assert first[0].shape == (12, 1, 256, 256)
    assert first[0].isfinite().all()
    assert (first[0].amin(), first[0].amax()) == (0, 1)


def test_unvaried_finder_batch_shows_the_film(cohort: Path) -> None:
    """Without rotation and changes a batch is what `normalize` makes of the film: the landmarks lie on bone."""
    still = FinderConfig(batch=24, rotation_deg=0, augment=0, nonsense_share=0, crop_share=0, channels=(16,) * 5)
    images, points, kinds = FinderTask(still, cohort).batch(np.random.default_rng(1))
    heads = [(image[0], point[0]) for image, point, kind in zip(images, points, kinds, strict=True) if kind == 0]
    assert len(heads) > 3
    for image, (x, y) in heads:
        if x.isfinite():
            assert image[int(y), int(x)] > image[image > 0].median()


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


def test_labels_are_learned_on_the_hologic_scale(cohort: Path) -> None:
    rows = read_rows(cohort, "roi", ["train"])[:3]
    bmd = {"femoral_neck": 0.899, "total_hip": None}
    labels = read_rois([dataclasses.replace(row, bmd_gcm2=bmd, scale="lunar") for row in rows]).labels_gcm2
    assert labels[:, 0] == pytest.approx(0.738, abs=0.001)  # T = -1 on both scales
    assert np.isnan(labels[:, 1]).all()


def test_label_scale_survives_an_unlabelled_site() -> None:
    mean, sd = label_scale(np.array([[0.7, np.nan], [0.9, np.nan]], np.float32))
    assert mean == pytest.approx([0.8, 0])
    assert sd == pytest.approx([0.1, 1])


@pytest.mark.parametrize(
    ("where", "changes", "message"),
    [
        ("roi", {"film": "roi/none.png"}, r"film roi/none\.png: cannot be read"),
        ("roi", {"bmd_gcm2": {"femoral_neck": None, "total_hip": None}}, "no BMD"),
        ("roi", {"x_spacing_mm": "wide"}, "x_spacing_mm: 'wide' is not a number above 0"),
        ("roi", {"x_spacing_mm": "0"}, "x_spacing_mm: '0' is not a number above 0"),
        ("roi", {"x_spacing_mm": "inf"}, "x_spacing_mm: 'inf' is not a number above 0"),
        ("roi", {"x_spacing_mm": "0.5"}, "256 x 256 pixels of 0.65 mm, this one has 256 x 256 of 0.5 mm"),
        ("film", {"x_kind": "elbow"}, "x_kind: 'elbow' is not one of intact"),
        ("film", {"x_head_center_x": ""}, "an intact hip needs head_center"),
        ("film", {"x_head_center_x": "left"}, "are not numbers"),
    ],
)
def test_table_errors_name_the_film(cohort: Path, where: str, changes: dict[str, object], message: str) -> None:
    rows = read_rows(changed(cohort, where, **changes), where, ["train", "val"])
    with pytest.raises(TableError, match=message):
        (read_rois if where == "roi" else read_films)(rows)


def test_eight_bit_png_is_refused(cohort: Path) -> None:
    stand_in.write_png(cohort.parent / "roi/byte.png", np.zeros((256, 256), np.uint8))  # type: ignore[arg-type]
    rows = read_rows(changed(cohort, "roi", film="roi/byte.png"), "roi", ["train", "val"])
    with pytest.raises(TableError, match="not a 16-bit gray PNG"):
        read_rois(rows)


def test_too_few_labels(cohort: Path) -> None:
    rows = [row for row in read_table(cohort) if row.extra["x_image"] == "roi"][:30]
    write_table(cohort.with_name("few.csv"), rows)
    with pytest.raises(TableError, match="labelled hips in val; training needs 20"):
        BmdTask(BmdConfig(), cohort.with_name("few.csv"))


def test_no_such_split(cohort: Path) -> None:
    with pytest.raises(TableError, match="x_image = roi and split = calibrate"):
        read_rows(cohort, "roi", ["calibrate"])
