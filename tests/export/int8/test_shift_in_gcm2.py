"""The guard: each limit alone refuses what it is there for, and lets through what stays just inside it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from bmd_edge.bundle.error_budget import LIMITS, SiteShift, broken
from bmd_edge.measure.t_score import WHO_CUTS, bmd_at
from bmd_edge.sites import SITES
from export.int8.shift_in_gcm2 import JudgingHips, ShiftInGcm2, compare, cut_gcm2, rmse_change

N = 1200


def judged(
    shift: np.ndarray, fp32: np.ndarray | None = None, error: np.ndarray | None = None, makers: list[str] | None = None
) -> ShiftInGcm2:
    """The verdict on n hips whose femoral neck moves by `shift` (n,); total hip does not move.

    `fp32` (n,) lies far from the cuts unless given, `error` (n,) is fp32 minus DEXA, 0.06 g/cm2 unless given.
    """
    n = len(shift)
    fp32 = np.full(n, 0.65) if fp32 is None else fp32
    error = np.where(np.arange(n) % 2, 0.06, -0.06) if error is None else error
    names = [f"f{i}" for i in range(n)]
    hips = JudgingHips(np.stack([fp32 - error] * 2, 1), names, makers or ["A"] * n, names)
    both = np.stack([fp32, fp32], 1)
    return compare(both, both + np.stack([shift, np.zeros(n)], 1), hips)


def some(count: int, value: float, n: int = N) -> np.ndarray:
    """`count` hips spread over all, moved by +value and -value in turn, so that the mean stays 0."""
    shift = np.zeros(n)
    places = np.linspace(0, n - 1, count).astype(int)
    shift[places] = np.where(np.arange(count) % 2, value, -value)
    return shift


def near_cut(crossing: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """fp32 and shift where `crossing` hips start `distance` above T = -2.5 of the neck and end just below it."""
    fp32, shift = np.full(N, 0.65), np.zeros(N)
    fp32[:crossing] = cut_gcm2("femoral_neck", -2.5) + distance
    shift[:crossing] = -distance - 1e-4
    return fp32, shift


def worse_by(share: float) -> tuple[np.ndarray, np.ndarray]:
    """Errors against DEXA and shifts that make every one of them larger by `share`, without moving the mean."""
    error = np.where(np.arange(N) % 2, 0.06, -0.06)
    return share * error, error


def of_maker(mean: float, spread: float = 0.0, n: int = 200) -> ShiftInGcm2:
    """`n` hips of maker B with this mean shift and twelve in a hundred moved by `spread`; the others do not move."""
    shift = np.zeros(N + n)
    shift[:n] = mean
    shift[: int(0.12 * n)] += np.where(np.arange(int(0.12 * n)) % 2, spread, -spread)
    return judged(shift, makers=["B"] * n + ["A"] * N)


def only(shift: ShiftInGcm2, says: str) -> bool:
    """Whether this limit, and no other, is broken."""
    failures = [said for said in shift.failures() if "femoral_neck" in said]
    return not shift.passed and len(failures) == 1 and says in failures[0]


CASES: dict[str, tuple[Callable[[], ShiftInGcm2], Callable[[], ShiftInGcm2], str]] = {
    "hips": (lambda: judged(np.zeros(1000)), lambda: judged(np.zeros(999)), "judged on 999 hips, 1000"),
    "mean": (
        lambda: judged(np.full(N, 0.0019), error=np.full(N, -0.3)),
        lambda: judged(np.full(N, 0.0021), error=np.full(N, -0.3)),
        "mean shift +0.0021",
    ),
    "mean below zero": (
        lambda: judged(np.full(N, -0.0019), error=np.full(N, 0.3)),
        lambda: judged(np.full(N, -0.0021), error=np.full(N, 0.3)),
        "mean shift -0.0021",
    ),
    "99th percentile": (
        lambda: judged(some(10, 0.03)),
        lambda: judged(some(14, 0.03)),
        "99th percentile of the shift 0.0300",
    ),
    "RMSE": (
        lambda: judged(worse_by(0.009)[0], error=worse_by(0.009)[1]),
        lambda: judged(worse_by(0.011)[0], error=worse_by(0.011)[1]),
        "RMSE against DEXA changes by up to +1.10%",
    ),
    "far flip": (
        lambda: judged(*reversed(near_cut(1, 0.0099))),
        lambda: judged(*reversed(near_cut(1, 0.0101))),
        "1 hips more than 0.01 g/cm2 from a cut crossed it, first f0",
    ),
    "flips": (
        lambda: judged(*reversed(near_cut(18, 0.001))),
        lambda: judged(*reversed(near_cut(19, 0.001))),
        "19 of 1200 hips (1.6%) crossed a cut",
    ),
    "mean of a maker": (lambda: of_maker(0.0029), lambda: of_maker(0.0031), "mean shift of B +0.0031"),
    "95th percentile of a maker": (
        lambda: of_maker(0.0, 0.0079),
        lambda: of_maker(0.0, 0.0081),
        "95th percentile of the shift of B 0.0081",
    ),
}


@pytest.mark.parametrize("limit", CASES)
def test_each_limit_alone_decides(limit: str) -> None:
    inside, outside, says = CASES[limit]
    assert inside().passed, inside().failures()
    assert only(outside(), says), outside().failures()


def test_a_maker_with_few_hips_is_listed_but_not_judged() -> None:
    shift = of_maker(0.005, n=199)
    assert shift.passed
    assert shift.sites["femoral_neck"].per_maker["B"].n == 199
    assert shift.sites["femoral_neck"].per_maker["B"].mean_shift_gcm2 == pytest.approx(0.005)


def test_every_flip_is_listed() -> None:
    neck_low, neck_high = (cut_gcm2("femoral_neck", t) for t in (-2.5, -1.0))
    fp32, shift = np.full(N, 0.65), np.zeros(N)
    fp32[:4] = [neck_low + 0.001, neck_low, neck_high - 0.002, neck_high + 0.002]
    shift[:4] = [-0.002, 0.0005, 0.003, -0.0015]
    flips = judged(shift, fp32).sites["femoral_neck"].flips
    assert {(flip.film_id, flip.cut_t) for flip in flips} == {("f0", -2.5), ("f1", -2.5), ("f2", -1.0)}
    first = next(flip for flip in flips if flip.film_id == "f0")
    assert (first.fp32_gcm2, first.quantized_gcm2) == (pytest.approx(0.565), pytest.approx(0.563))


@pytest.mark.parametrize(
    ("before_t", "after_t", "changes"),
    [(-2.46, -2.44, True), (-1.04, -1.06, True), (-2.505, -2.495, False), (-0.995, -1.005, False)],
)
def test_a_flip_is_what_a_reader_sees(before_t: float, after_t: float, changes: bool) -> None:
    """T is shown rounded to 0.1: -2.46 reads -2.5 and -2.44 reads -2.4, while -2.505 and -2.495 both read -2.5."""
    fp32, shift = np.full(N, 0.65), np.zeros(N)
    fp32[:30] = bmd_at("femoral_neck", before_t)
    shift[:30] = bmd_at("femoral_neck", after_t) - fp32[0]
    shift = judged(shift, fp32)
    assert len(shift.sites["femoral_neck"].flips) == (30 if changes else 0)
    assert shift.passed is not changes
    assert not changes or only(shift, "30 of 1200 hips (2.5%) crossed a cut")


def test_cuts_lie_where_the_shown_range_changes() -> None:
    """Looker 1998, mean + T x SD, at the exact T of -1.05 and -2.45."""
    cuts = {site: [cut_gcm2(site, t) for t in WHO_CUTS] for site in SITES}
    assert cuts == {"femoral_neck": [0.732, 0.564], "total_hip": [0.8139, 0.6431]}


def test_a_figure_that_is_no_number_is_not_passed() -> None:
    site = judged(np.zeros(N)).sites["femoral_neck"]
    assert broken(site) == []
    for name in ("mean_shift_gcm2", "p99_shift_gcm2", "rmse_change_upper95"):
        assert len(broken(dataclasses.replace(site, **{name: float("nan")}))) == 1


def test_the_figures_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    shift, error = rng.normal(0.0005, 0.002, N), rng.normal(0, 0.06, N)
    site = judged(shift, error=error).sites["femoral_neck"]
    assert isinstance(site, SiteShift)
    assert site.limits == LIMITS
    assert site.mean_shift_gcm2 == pytest.approx(shift.mean())
    assert site.p95_shift_gcm2 == pytest.approx(np.percentile(np.abs(shift), 95))
    assert site.p99_shift_gcm2 == pytest.approx(np.percentile(np.abs(shift), 99))
    assert site.max_shift_gcm2 == pytest.approx(np.abs(shift).max())
    wanted = np.sqrt(np.mean((error + shift) ** 2) / np.mean(error**2)) - 1
    assert site.rmse_change == pytest.approx(wanted)
    assert site.rmse_change < site.rmse_change_upper95


def test_the_bound_is_that_of_a_bootstrap_over_subjects() -> None:
    """Against a plain loop that draws subjects; and hips of one subject are drawn together."""
    rng = np.random.default_rng(1)
    subjects = np.arange(300).repeat(4)
    dexa = rng.normal(0.7, 0.1, 1200)
    fp32 = dexa + rng.normal(0, 0.06, 300).repeat(4)
    other = fp32 + rng.normal(0, 0.02, 300).repeat(4)
    _, upper = rmse_change(fp32, other, dexa, subjects.astype(str).tolist())
    drawn = []
    for _ in range(3000):
        hips = (4 * rng.integers(0, 300, 300)[:, None] + np.arange(4)).ravel()
        a, b = (np.mean((values - dexa)[hips] ** 2) for values in (other, fp32))
        drawn.append(np.sqrt(a / b) - 1)
    assert upper == pytest.approx(np.quantile(drawn, 0.95), abs=0.004)
    _, alone = rmse_change(fp32, other, dexa, [f"{i}" for i in range(1200)])
    assert alone < upper - 0.01  # as if each hip were a subject: too sure


def test_the_same_hips_give_the_same_bound() -> None:
    rng = np.random.default_rng(2)
    dexa, fp32, other = rng.normal(0.7, 0.1, (3, 100))
    names = [f"{i}" for i in range(100)]
    assert rmse_change(fp32, other, dexa, names) == rmse_change(fp32, other, dexa, names)


@pytest.mark.parametrize(("fp32", "other"), [((3, 2), (4, 2)), ((4, 2), (4, 3)), ((0, 2), (0, 2))])
def test_different_hips_cannot_be_compared(fp32: tuple[int, int], other: tuple[int, int]) -> None:
    names = ["a"] * fp32[0]
    with pytest.raises(ValueError, match=r"cannot compare|no hips"):
        compare(np.zeros(fp32), np.zeros(other), JudgingHips(np.zeros(fp32), names, names, names))
