"""What no hip looks like is refused, each by the check that is there for it."""

from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import HipRefused
from bmd_edge.hips.class_head import SURE_CLOSE_UP
from bmd_edge.hips.landmarks import canonical, shape_of
from bmd_edge.hips.plausibility import MOST_OTHER, dark_bone, shaft_distance
from bmd_edge.hips.region import SCALES, Hip
from tests.bmd_edge.hips.painted_hips import RIGHT_MM, found, painted_film, painted_finder
from tests.support.screening import plausibility


@pytest.mark.parametrize(("kind", "code"), [(1, "implant"), (2, "fracture"), (3, "wrong_view"), (4, "immature")])
def test_a_found_hip_of_a_refused_kind(kind, code):
    (hip,) = found(painted_film({"L": (200, 120)}), painted_finder(kind))
    assert isinstance(hip, HipRefused)
    assert (hip.code, hip.side) == (code, "L")
    assert set(hip.landmarks_px) == set(LANDMARKS)


@pytest.mark.parametrize("name", SURE_CLOSE_UP)
def test_a_class_that_the_finder_is_not_sure_of_is_a_doubt(name):
    """Likelier than every other class, and still no disease is named."""
    film = painted_film({"R": (200, 120)})
    for share, code in ((SURE_CLOSE_UP[name] - 0.001, "not_measurable"), (SURE_CLOSE_UP[name] + 0.0005, name)):
        kinds = tuple(share if kind == name else (1 - share) / 5 for kind in KINDS)
        (hip,) = found(film, painted_finder(kinds))
        assert isinstance(hip, HipRefused)
        assert hip.code == code
        assert set(hip.landmarks_px) == set(LANDMARKS)


@pytest.mark.parametrize("name", ["implant", "wrong_view", "immature"])
def test_a_hip_that_may_be_another_kind_is_a_doubt(name):
    """Sound is likelier; but no sound hip was ever as likely an implant, another view or a growing hip."""
    film = painted_film({"R": (200, 120)})
    for share, refused in ((MOST_OTHER - 0.02, False), (MOST_OTHER + 0.02, True)):
        kinds = tuple({"intact": 0.95 - share, name: share}.get(kind, 0.0125) for kind in KINDS)
        (hip,) = found(film, painted_finder(kinds))
        assert isinstance(hip, HipRefused) == refused
        assert not refused or hip.code == "not_measurable"


def test_no_adult_is_called_immature():
    film = painted_film({"R": (200, 120)})
    for age, code in ((71.0, "not_measurable"), (None, "immature")):
        (hip,) = found(replace(film, age_years=age), painted_finder(KINDS.index("immature")))
        assert isinstance(hip, HipRefused)
        assert hip.code == code


def test_a_spacing_that_makes_the_hip_too_large():
    film = painted_film({"R": (200, 120)}, (0.5, 0.5))
    large = replace(film, spacing_mm=(0.5 / 0.68, 0.5 / 0.68))
    (hip,) = found(large, painted_finder())
    assert isinstance(hip, HipRefused)
    assert hip.code == "implausible_scale"


def test_two_looks_that_disagree():
    def shifted_close_up(maps, batch):
        return np.roll(maps, 12, axis=2) if batch == len(SCALES) else maps  # 12 cells of 1.8 mm

    (hip,) = found(painted_film({"R": (200, 120)}), painted_finder(alter=shifted_close_up))
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"
    assert set(hip.landmarks_px) == set(LANDMARKS)


def test_a_close_up_that_is_unsure_of_every_landmark():
    def faint(maps, batch):
        return (
            np.minimum(maps, -1.2) if batch == len(SCALES) else maps
        )  # peaks of 0.23; half of 0.3 would be a missing one

    (hip,) = found(painted_film({"R": (200, 120)}), painted_finder(alter=faint))
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"


def at_scales(change):
    """Close-ups that differ: `change(maps, number of the scale)`; the survey stays."""
    plain, numbers = painted_finder(), range(len(SCALES))

    def run(feeds):
        raw = plain.run(feeds)
        if len(raw["heatmaps"]) == len(SCALES):
            for number in numbers:
                change(raw, number)
        return raw

    engine = FunctionEngine(run, plain.inputs, plain.outputs)
    engine.open()
    return engine


@pytest.mark.parametrize(("log_odds", "measured"), [(-0.95, False), (-0.2, True)])
def test_a_look_at_another_scale_that_clearly_sees_no_intact_hip_is_a_doubt(log_odds, measured):
    """The limit is even odds. Together the looks are sure; a single one may pass it by what such looks differ."""

    def less_sure(raw, number):
        if number == 2:
            raw["kind"][number] = 0
            raw["kind"][number, 0] = np.log(5) + log_odds  # against five other classes of the same probability

    (hip,) = found(painted_film({"R": (200, 120)}), at_scales(less_sure))
    assert isinstance(hip, Hip) is measured
    if not measured:
        assert (hip.code, set(hip.landmarks_px)) == ("not_measurable", set(LANDMARKS))


def test_looks_that_are_unsure_by_turns_are_sure_together():
    """A verdict rests on what the looks say together: one of three is below the limit of the peak, by little."""

    def fainter(raw, number):
        if number == 0:
            raw["heatmaps"][number] = np.minimum(raw["heatmaps"][number], -0.9)  # peaks of 0.29; the limit is 0.3

    assert isinstance(found(painted_film({"R": (200, 120)}), at_scales(fainter))[0], Hip)


def test_a_look_whose_landmarks_lie_elsewhere_is_a_doubt():
    def elsewhere(raw, number):
        if number == 0:
            raw["heatmaps"][number] = np.roll(raw["heatmaps"][number], 12, axis=2)  # 12 cells of 1.8 mm

    (hip,) = found(painted_film({"R": (200, 120)}), at_scales(elsewhere))
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"


def test_a_size_that_is_implausible_within_the_doubt_of_the_scale():
    """Head center to lesser trochanter is 65.8 mm; 95 is the most."""
    film = painted_film({"R": (200, 120)})
    for size, measured in ((91.5, False), (89.0, True)):
        spacing_mm = 0.5 * size / 65.8
        (hip,) = found(replace(film, spacing_mm=(spacing_mm, spacing_mm)), painted_finder())
        assert isinstance(hip, Hip) is measured, size


def test_a_shape_that_no_hip_has():
    mean = shape_of(canonical(RIGHT_MM))
    precision = tuple(map(tuple, (np.eye(10) * 1e4).tolist()))
    strict = plausibility(shape_mean=tuple(mean.tolist()), shape_precision=precision, max_shape_distance=10.0)
    film = painted_film({"R": (200, 120)})
    assert isinstance(found(film, painted_finder(), strict)[0], Hip)

    def trochanter_astray(maps, _):
        maps[2] = np.roll(maps[2], -12, axis=0)
        return maps

    (hip,) = found(film, painted_finder(alter=trochanter_astray), strict)
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"


def test_a_shaft_that_goes_on_beside_the_hip_is_a_doubt():
    """As a displaced fracture below the trochanters looks; the shape as a whole keeps its limit."""
    mean = tuple(shape_of(canonical(RIGHT_MM)).tolist())
    precision = tuple(map(tuple, (np.eye(10) * 400).tolist()))
    limits = plausibility(shape_mean=mean, shape_precision=precision, max_shape_distance=10.0)

    def displaced(by):
        def alter(maps, _):
            maps[4:] = np.roll(maps[4:], by, axis=2)
            return maps

        return painted_finder(alter=alter)

    (hip,) = found(painted_film({"R": (200, 120)}), displaced(2), limits)
    assert isinstance(hip, Hip)
    (hip,) = found(painted_film({"R": (200, 120)}), displaced(9), limits)
    assert isinstance(hip, HipRefused)
    assert (hip.code, set(hip.landmarks_px)) == ("not_measurable", set(LANDMARKS))


def test_the_shafts_distance_is_that_of_the_conditional_normal_distribution():
    """What the others say of the shaft is taken off: a hip of another build is not a broken one."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(10, 10))
    covariance = mixed @ mixed.T / 400 + np.eye(10) * 1e-4
    mean = shape_of(canonical(RIGHT_MM))
    limits = plausibility(
        shape_mean=tuple(mean.tolist()), shape_precision=tuple(map(tuple, np.linalg.inv(covariance).tolist()))
    )
    build = np.zeros(10)
    build[:6] = [0.05, -0.02, 0.03, 0.02, 0, 0]
    build[6:] = covariance[6:, :6] @ np.linalg.solve(covariance[:6, :6], build[:6])
    given = covariance[6:, 6:] - covariance[6:, :6] @ np.linalg.solve(covariance[:6, :6], covariance[:6, 6:])
    off = np.array([0.02, 0.0, 0.03, 0.01])
    for shape, expected in ((build, 0.0), (build + np.pad(off, (6, 0)), np.sqrt(off @ np.linalg.solve(given, off)))):
        points = np.vstack([[0, 0], (mean + shape).reshape(5, 2)])  # the lesser trochanter stays at 1
        assert shaft_distance(limits, points) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_an_embedding_unlike_all_training_films():
    film = painted_film({"R": (200, 120)})  # the painted finder's embedding lies 2 away
    near = plausibility(flag_embedding_distance=1.0, max_embedding_distance=3.0)
    (hip,) = found(film, painted_finder(), near)
    assert "unlike_training_films" in hip.flags
    far = plausibility(flag_embedding_distance=1.0, max_embedding_distance=1.5)
    (hip,) = found(film, painted_finder(), far)
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"


@pytest.mark.parametrize(("intact", "flagged"), [(0.6, True), (0.8, False)])
def test_a_hip_that_is_less_surely_intact_than_most(intact, flagged):
    finder, limits = painted_finder((intact, *((1 - intact) / 5,) * 5)), plausibility(min_intact=0.5, flag_intact=0.7)
    (hip,) = found(painted_film({"R": (200, 120)}), finder, limits)
    assert isinstance(hip, Hip)
    assert ("perhaps_not_intact" in hip.flags) is flagged


@pytest.mark.parametrize(("least", "refused"), [(0.5, True), (0.3, False), (0.0, False)])
def test_a_hip_that_looks_broken_on_the_whole_film_is_a_doubt(least, refused):
    finder = painted_finder(survey_kind=(0.4, 0.02, 0.52, 0.02, 0.02, 0.02))
    (hip,) = found(painted_film({"R": (200, 120)}), finder, plausibility(min_survey_intact=least))
    assert isinstance(hip, HipRefused) == refused
    assert not refused or hip.code == "not_measurable"


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


def test_bone_darker_than_its_surroundings_is_a_film_turned_negative():
    """A painted hip, its negative, and one whose shaft is dark alone."""
    shown = painted_film({"R": (200, 120)})
    points_px = np.array(list(found(shown, painted_finder())[0].landmarks_px.values()))
    box = (0.0, 0.0, float(shown.shape[1]), float(shown.shape[0]))
    rows, columns = np.mgrid[: shown.shape[0], : shown.shape[1]]
    axis = np.hypot(columns[..., None] - points_px[:, 0], rows[..., None] - points_px[:, 1]).min(axis=2)
    region = np.where(axis < 40, 0.8, 0.4).astype(np.float32)
    assert not dark_bone(points_px, box, region)
    assert dark_bone(points_px, box, 1 - region)
    region[rows > points_px[4, 1]] = 0.1
    assert not dark_bone(points_px, box, region)
