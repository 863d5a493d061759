"""The geometry and the refusals of the finder line, with a finder that recognizes six painted gray levels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.bundle.manifest import LANDMARKS, Plausibility
from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import FilmRefused, HipRefused
from bmd_edge.film.film import Film
from bmd_edge.hips.finder import find_hips, peaks_of
from bmd_edge.hips.landmarks import canonical, shape_of
from bmd_edge.hips.region import Hip, hip_image, roi_box
from tests.screening import INPUTS, plausibility

# A right hip as displayed: head toward image right; millimeters relative to the head center.
RIGHT_MM = np.array([[0, 0], [-25, 14], [-60, 5], [-22, 62], [-42, 88], [-42, 118]], float)
LEVELS = np.linspace(0.35, 0.85, 6)
SIZE_MM = (330, 400)
HEAT, EMBEDDING = 128, 4


def painted_film(hips: dict[str, tuple[float, float]], spacing_mm=(0.5, 0.5), side=None) -> Film:
    """A film with the six landmarks of each hip (head center given in mm) as 9 mm squares of their own level.

    A black and a white square beside each hip give every view of it the full range of gray.
    """
    rows, columns = (round(size / step) for size, step in zip(SIZE_MM, spacing_mm, strict=True))
    y, x = (np.arange(rows)[:, None] + 0.5) * spacing_mm[0], (np.arange(columns)[None] + 0.5) * spacing_mm[1]
    bright = np.full((rows, columns), 0.2, np.float32)
    for hip_side, head in hips.items():
        medial = 1 if hip_side == "R" else -1
        for level, down in ((0.0, -15), (1.0, 26)):
            bright[(abs(y - head[1] - down) <= 20) & (abs(x - head[0] - 55 * medial) <= 30)] = level
        for level, (px, py) in zip(LEVELS, points_mm(hip_side, head), strict=True):
            bright[(abs(y - py) <= 4.5) & (abs(x - px) <= 4.5)] = level
    stored = np.round(bright * 4095).astype(np.uint16)
    return Film(
        film_id="0" * 16,
        stored=stored,
        lookup=np.linspace(0, 1, 4096, dtype=np.float32),
        lookup_first=0,
        spacing_mm=spacing_mm,
        spacing_source="given",
        side=side,
    )


def points_mm(side: str, head: tuple[float, float]) -> np.ndarray:
    return np.array(head) + RIGHT_MM * ((1, 1) if side == "R" else (-1, 1))


def painted_finder(kind: int = 0, alter: Callable[[np.ndarray, int], np.ndarray] | None = None) -> FunctionEngine:
    """Finds the painted levels where they form a right hip (greater trochanter to the image left of the head)."""

    def run(feeds):
        image = feeds["image"]
        heatmaps = np.full((len(image), 6, HEAT, HEAT), -12, np.float32)
        for n, (gray,) in enumerate(image):
            spots = [np.argwhere(_eroded(abs(gray - level) < 0.03)) for level in LEVELS]
            pairs = _right_hips(spots)
            for k, spot in pairs.items():
                y, x = (spot + 0.5) * HEAT / gray.shape[0]
                yy, xx = np.mgrid[:HEAT, :HEAT] + 0.5
                heatmaps[n, k] = 8 - 10 * np.minimum(((yy - y) ** 2 + (xx - x) ** 2) / 4, 2)
            if alter:
                heatmaps[n] = alter(heatmaps[n], len(image))
        logits = np.zeros((len(image), 6), np.float32)
        logits[:, kind] = 8
        return {"heatmaps": heatmaps, "kind": logits, "embedding": np.ones((len(image), EMBEDDING), np.float32)}

    outputs = {
        "heatmaps": ((None, 6, HEAT, HEAT), "float32"),
        "kind": ((None, 6), "float32"),
        "embedding": ((None, EMBEDDING), "float32"),
    }
    engine = FunctionEngine(run, {"image": ((None, 1, 256, 256), "float32")}, outputs)
    engine.open()
    return engine


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Without the one-pixel rims where two levels mix."""
    for axis in (0, 1):
        mask = mask & np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    return mask


def _right_hips(spots: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Centers of the painted squares of a hip whose trochanter lies to the left of its head; {} where there is none."""
    greater, head = spots[2], spots[0]
    for start in greater:
        cluster = {}
        near_head = [h for h in head if 0 < h[1] - start[1] < 110]
        if not near_head:
            continue
        for k, found in enumerate(spots):
            anchor = near_head[0] if k == 0 else start
            close = found[np.abs(found - anchor).max(axis=1) < (30 if k in (0, 2) else 190)]
            close = close[close[:, 1] < near_head[0][1] + 30]
            if len(close):
                cluster[k] = close[:400].mean(axis=0)
        return cluster
    return {}


def found(film: Film, finder: FunctionEngine, limits: Plausibility | None = None) -> list[Hip | HipRefused]:
    return find_hips(film, finder, INPUTS, limits or plausibility())


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (0.25, 0.25), (0.6, 0.4)])
@pytest.mark.parametrize("side", ["R", "L"])
def test_landmarks_and_side_of_a_single_hip(side, spacing_mm):
    film = painted_film({side: (200, 120)}, spacing_mm)
    (hip,) = found(film, painted_finder())
    assert isinstance(hip, Hip)
    assert hip.side == side
    truth = points_mm(side, (200, 120))
    for name, point in zip(LANDMARKS, truth, strict=True):
        seen = np.array(hip.landmarks_px[name]) * (spacing_mm[1], spacing_mm[0])
        assert np.hypot(*(seen - point)) < 2.0, name


def test_a_pelvis_gives_the_right_hip_first():
    film = painted_film({"R": (120, 120), "L": (290, 124)})
    hips = found(film, painted_finder())
    assert [hip.side for hip in hips] == ["R", "L"]


def test_left_and_right_hips_give_the_same_network_input():
    right = painted_film({"R": (200, 120)})
    left = painted_film({"L": (200, 120)})
    (hip,) = found(right, painted_finder())
    (mirrored,) = found(left, painted_finder())
    difference = np.abs(hip_image(right, hip, BMD) - hip_image(left, mirrored, BMD))
    assert np.mean(difference) < 0.01


@pytest.mark.parametrize("side", ["R", "L"])
def test_the_network_sees_the_head_at_the_image_right(side):
    film = painted_film({side: (200, 120)})
    (hip,) = found(film, painted_finder())
    (gray,) = hip_image(film, hip, BMD)
    head, _, trochanter = (np.argwhere(_eroded(abs(gray - level) < 0.03)) for level in LEVELS[:3])
    assert head[:, 1].mean() - trochanter[:, 1].mean() == pytest.approx(60 / BMD.spacing_mm, abs=2)


def test_the_region_of_interest_is_centered_and_145_mm_wide():
    film = painted_film({"R": (200, 120)}, (0.5, 0.4))
    (hip,) = found(film, painted_finder())
    left, top, width, height = hip.box_px
    assert width == pytest.approx(145.6 / 0.4)
    assert height == pytest.approx(145.6 / 0.5)
    center = np.array([left + width / 2, top + height / 2]) * (0.4, 0.5)
    assert center == pytest.approx((points_mm("R", (200, 120))[[0, 3]]).mean(axis=0), abs=1.0)
    image = hip_image(film, hip, BMD)
    assert image.shape == (1, BMD.size_px, BMD.size_px)
    assert image.dtype == np.float32


def test_nothing_on_the_film():
    with pytest.raises(FilmRefused) as refusal:
        found(painted_film({}), painted_finder(kind=5))
    assert refusal.value.code == "not_a_hip"


def test_a_film_without_hip_that_the_finder_names():
    with pytest.raises(FilmRefused) as refusal:
        found(painted_film({}), painted_finder(kind=4))
    assert refusal.value.code == "immature"


@pytest.mark.parametrize(("kind", "code"), [(1, "implant"), (2, "fracture"), (3, "wrong_view"), (4, "immature")])
def test_a_found_hip_of_a_refused_kind(kind, code):
    (hip,) = found(painted_film({"L": (200, 120)}), painted_finder(kind))
    assert isinstance(hip, HipRefused)
    assert (hip.code, hip.side) == (code, "L")
    assert set(hip.landmarks_px) == set(LANDMARKS)


def test_a_film_that_ends_below_the_lesser_trochanter():
    head_y = 330 - 62 - 12  # 12 mm of film below the lesser trochanter
    film = painted_film({"R": (200, head_y)})

    def end_of_film(maps, _):
        maps[5] = maps[3]  # the lowest visible axis point
        return maps

    (hip,) = found(film, painted_finder(alter=end_of_film))
    assert isinstance(hip, HipRefused)
    assert hip.code == "cut_off"


def test_a_region_of_interest_that_leaves_the_film():
    film = painted_film({"R": (66, 20)})
    (hip,) = found(film, painted_finder())
    assert isinstance(hip, HipRefused)
    assert hip.code == "cut_off"


def test_a_spacing_that_makes_the_hip_too_large():
    film = painted_film({"R": (200, 120)}, (0.5, 0.5))
    large = replace(film, spacing_mm=(0.5 / 0.68, 0.5 / 0.68))
    (hip,) = found(large, painted_finder())
    assert isinstance(hip, HipRefused)
    assert hip.code == "implausible_scale"


def test_two_looks_that_disagree():
    def shifted_close_up(maps, batch):
        return np.roll(maps, 12, axis=2) if batch == 1 else maps  # 12 cells of 1.8 mm

    (hip,) = found(painted_film({"R": (200, 120)}), painted_finder(alter=shifted_close_up))
    assert isinstance(hip, HipRefused)


@pytest.mark.parametrize("side", ["R", "L"])
def test_a_hip_that_both_orientations_see_is_one_hip(side):
    """Of the two the surer one counts: the other would give the hip's number, or its refusal, a second time."""
    plain = painted_finder()
    seen = "RL".index(side)

    def run(feeds):
        raw = plain.run(feeds)
        if len(raw["heatmaps"]) == 2:
            raw["heatmaps"][1 - seen] = raw["heatmaps"][seen][:, :, ::-1] - 4
        return raw

    with FunctionEngine(run, plain.inputs, plain.outputs) as finder:
        (hip,) = found(painted_film({side: (200, 120)}), finder)
    assert isinstance(hip, Hip)
    assert hip.side == side


def test_a_close_up_that_is_unsure_of_every_landmark():
    def faint(maps, batch):
        return np.minimum(maps, -1.2) if batch == 1 else maps  # peaks of 0.23; half of 0.3 would be a missing one

    (hip,) = found(painted_film({"R": (200, 120)}), painted_finder(alter=faint))
    assert isinstance(hip, HipRefused)
    assert hip.code != "cut_off"


def test_a_shape_that_no_hip_has():
    mean = shape_of(canonical(RIGHT_MM))
    precision = tuple(map(tuple, (np.eye(10) * 1e4).tolist()))
    strict = plausibility(shape_mean=tuple(mean.tolist()), shape_precision=precision, max_shape_distance=10.0)
    film = painted_film({"R": (200, 120)})
    assert isinstance(found(film, painted_finder(), strict)[0], Hip)

    def trochanter_astray(maps, _):
        maps[2] = np.roll(maps[2], -12, axis=0)
        return maps

    assert isinstance(found(film, painted_finder(alter=trochanter_astray), strict)[0], HipRefused)


def test_an_embedding_unlike_all_training_films():
    film = painted_film({"R": (200, 120)})  # the painted finder's embedding lies 2 away
    near = plausibility(flag_embedding_distance=1.0, max_embedding_distance=3.0)
    (hip,) = found(film, painted_finder(), near)
    assert "unlike_training_films" in hip.flags
    far = plausibility(flag_embedding_distance=1.0, max_embedding_distance=1.5)
    assert isinstance(found(film, painted_finder(), far)[0], HipRefused)


def test_little_shaft_below_the_lesser_trochanter_is_flagged():
    """The painted hip shows 56 mm of it; a finder that sees its end higher has less."""

    def higher(maps, _):
        maps[5] = np.roll(maps[5], -15, axis=0)
        return maps

    film = painted_film({"R": (200, 120)})
    for alter, flagged in ((lambda maps, _: maps, False), (higher, True)):
        (hip,) = found(film, painted_finder(alter=alter))
        assert ("shaft_short" in hip.flags) is flagged


@pytest.mark.parametrize(("header", "flagged"), [("L", True), ("R", False), ("B", False), (None, False)])
def test_a_header_that_names_the_other_side(header, flagged):
    (hip,) = found(painted_film({"R": (200, 120)}, side=header), painted_finder())
    assert ("side_contradiction" in hip.flags) is flagged
    assert hip.side == "R"


def test_a_saturated_hip_is_poorly_exposed():
    film = painted_film({"R": (200, 120)})
    lookup = np.where(film.lookup < 0.25, np.float32(0), film.lookup)  # everything but the landmarks is black
    burnt = replace(film, lookup=lookup)
    (hip,) = found(burnt, painted_finder())
    assert isinstance(hip, HipRefused)
    assert hip.code == "poor_exposure"


def test_peaks_are_found_between_cells():
    yy, xx = np.mgrid[:HEAT, :HEAT] + 0.5
    truth = np.array([[40.3, 70.8], [3.0, 3.0], [100.5, 20.2], [64, 64], [12.7, 90.1], [90, 120]])
    maps = np.stack([4 - ((xx - x) ** 2 + (yy - y) ** 2) / 2 for x, y in truth]).astype(np.float32)
    points, peaks = peaks_of(maps, 256)
    assert points / 2 == pytest.approx(truth, abs=0.15)
    assert (peaks > 0.9).all()


def test_roi_box_of_a_right_hip():
    box = roi_box(points_mm("R", (100, 100)) / (0.4, 0.5), (0.5, 0.4), 145.6)
    assert box == pytest.approx(((100 - 11 - 72.8) / 0.4, (100 + 31 - 72.8) / 0.5, 364, 291.2))


def test_a_region_outside_the_film_is_black_and_a_flat_one_too():
    region = np.full((112, 112), np.nan, np.float32)
    assert not normalize(region, BMD).any()
    assert not normalize(np.full_like(region, 0.5), BMD).any()
    region[:, 50:] = np.linspace(0.2, 0.4, 62, dtype=np.float32)
    scaled = normalize(region, BMD)
    assert not scaled[0, :, :50].any()
    assert scaled.max() == 1
    with pytest.raises(ValueError, match="112 x 112"):
        normalize(region[:100], BMD)
