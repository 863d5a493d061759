"""The plan of a cohort: splits by subject, poses, makers and kinds."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from bmd_edge.errors import UsageError
from trainer.phantom.cohort import plan
from trainer.phantom.cohort.plan import REFUSAL_CASES, CohortConfig, cohort_path, items
from trainer.phantom.film.maker_styles import HELD_OUT_MAKERS


def test_splits_are_by_subject_and_in_proportion():
    found = items(CohortConfig(labelled=1090, calibrate=0, unlabelled=0))
    splits = defaultdict(set)
    for item in found:
        splits[item.subject].add(item.split)
    assert all(len(s) == 1 for s in splits.values())
    count = {s: sum(i.split == s for i in found) for s in ("train", "val", "test")}
    assert count["train"] == pytest.approx(440, abs=2)
    assert count["val"] == pytest.approx(150, abs=2)
    assert len(splits) == pytest.approx(819, abs=45)


def test_poses_repeat_the_subject_and_larger_cohorts_extend_smaller_ones():
    two = items(CohortConfig(labelled=20, calibrate=0, unlabelled=0, poses=2))
    for a, b in list(pairwise(two))[::2]:
        assert (a.subject, a.spec.subject_seed, a.spec.side) == (b.subject, b.spec.subject_seed, b.spec.side)
        assert a.spec.seed != b.spec.seed
    small, large = (items(CohortConfig(labelled=0, calibrate=n, unlabelled=0)) for n in (5, 50))
    assert [i.spec for i in small] == [i.spec for i in large[:5]]


def test_named_styles_use_the_makers_asked_for():
    found = items(CohortConfig(labelled=60, calibrate=0, unlabelled=0, style="named", makers=("G", "H")))
    assert {i.spec.style for i in found} == {"G", "H"}
    assert len({i.spec.seed for i in items(CohortConfig(200, 200, 200, 50, 50, 50))}) == 200 * 3 + 75 + 100


def test_unseen_makers_show_the_test_hips_again_and_change_nothing_else():
    plain = items(CohortConfig(labelled=60, calibrate=5, unlabelled=0, style="named"))
    both = items(CohortConfig(labelled=60, calibrate=5, unlabelled=0, style="named", unseen=True))
    again = [item for item in both if item.spec.style in HELD_OUT_MAKERS]
    first = [item for item in plain if item.split == "test"]
    assert {item.spec.style for item in again} == set(HELD_OUT_MAKERS)
    assert [replace(item.spec, style=old.spec.style) for item, old in zip(again, first, strict=True)] == [
        item.spec for item in first
    ]
    assert [item.subject for item in again] == [item.subject for item in first]
    assert {item.split for item in again} == {"test"}
    assert [item.spec for item in both if item not in again] == [item.spec for item in plain]


def test_every_split_of_the_finder_holds_every_kind_of_film():
    found = [i for i in items(CohortConfig(0, 0, 0, pelves=40, refusals=100)) if i.place == "film"]
    for split in ("train", "val", "calibrate"):
        mine = [i.spec for i in found if i.split == split]
        intact = {(spec.kind, spec.pose) for spec in mine if spec.case == "intact"}
        assert intact == {("pelvis", "bmd"), ("pelvis", "wide"), ("hip", "wide")}
        assert {spec.case for spec in mine} == {"intact", *REFUSAL_CASES}


def test_one_dicom_film_in_ten_is_repeated_in_other_poses():
    once, again = (items(CohortConfig(0, 0, 0, dicom=40, poses=poses)) for poses in (1, 3))
    assert len(once) == 40
    specs = [item.spec for item in again]
    assert [spec for spec in specs if spec.subject_seed is None] == [item.spec for item in once]
    repeats = [spec for spec in specs if spec.subject_seed is not None]
    assert len(repeats) == 2 * 4  # films 0, 10, 20 and 30 are intact
    assert all(spec.seed != spec.subject_seed for spec in repeats)
    subjects = {item.spec.seed: item.subject for item in once}
    assert all(i.subject == subjects[i.spec.subject_seed] for i in again if i.spec.subject_seed is not None)


def test_several_films_share_a_view_and_both_hips_a_film():
    found = items(CohortConfig(0, 0, 0, learn=15, films=3))
    assert {i.split for i in found} == {"train"}
    assert {i.spec.population for i in found} == {"wide", "screening"}
    assert {i.spec.pose for i in found} == {"bmd", "turned"}
    views, films = (defaultdict(list) for _ in range(2))
    for item in found:
        views[item.facts["x_view"]].append(item.spec)
        films[item.facts["x_film"]].append(item.spec)
    assert {len(specs) for specs in views.values()} == {3}
    assert all(len({spec.bare() for spec in specs}) == 1 for specs in views.values())
    assert len(films) == 15 * 3
    for right, left in films.values():
        assert (right.side, left) == ("R", replace(right, side="L"))


def test_whole_films_of_a_person_stay_in_one_split_and_keep_their_view():
    found = items(CohortConfig(0, 0, 0, pelves=40, refusals=40, films=2, population="both"))
    splits, bodies = (defaultdict(set) for _ in range(2))
    for first, second in list(pairwise(found))[::2]:
        assert first.spec.bare() == second.spec.bare()
        assert first.spec.seed != second.spec.seed
    for item in found:
        splits[item.subject].add(item.split)
        bodies[item.subject].add((item.spec.subject, item.spec.population))
    assert all(len(one) == 1 for one in (*splits.values(), *bodies.values()))
    assert {spec.population for spec in (item.spec for item in found)} == {"wide", "screening"}


@pytest.mark.parametrize("style", ["named", "random", "wide", "mixed"])
def test_styles_of_a_cohort(style):
    styles = {i.spec.style for i in items(CohortConfig(0, 60, 0, style=style))}
    assert ("random" in styles, len(styles) > 1) == (style in ("random", "mixed"), style in ("named", "mixed"))
    assert ("wide" in styles) == (style in ("wide", "mixed"))


_BAD = [
    {"style": "odd"}, {"makers": ("Z",)}, {"labelled": -1}, {"poses": 0}, {"makers": ()}, {"learn": -1}, {"films": 0},
    {"population": "tall"},
]  # fmt: skip


@pytest.mark.parametrize("bad", _BAD)
def test_impossible_configurations_are_usage_errors(bad):
    with pytest.raises(UsageError):
        CohortConfig(**bad)


def test_cache_path_follows_the_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    a, b = CohortConfig(), CohortConfig(seed=1)
    before = a.digest()
    assert cohort_path(a).parent == tmp_path / "bmd-edge" / "phantom"
    assert cohort_path(a) != cohort_path(b)
    assert cohort_path(a) == cohort_path(CohortConfig())
    monkeypatch.setattr(plan, "REFUSAL_CASES", ("implant",))
    assert a.digest() != before
