"""The figures of a validation as SVG, the same bytes for the same numbers: no time, no random ids."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from calibration.statistics.agreement import Data
from calibration.statistics.bootstrap import F64
from calibration.statistics.detection import Bools, roc_curve

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, SOFT, ACCENT, TEAL, AMBER = "#1b2430", "#5c6877", "#1d4ed8", "#0f766e", "#b45309"
_SETTINGS: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "bmd-edge", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 8.5,
    "axes.edgecolor": "#94a3b8", "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT, "ytick.color": SOFT,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9.5, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "legend.frameon": False, "legend.fontsize": 7.5, "lines.linewidth": 1.2,
}  # fmt: skip
_SIZE_IN = (3.55, 3.2)
_MANY = 3000  # points that are drawn as pixels, so that the page stays small


def _svg(draw: Callable[[Axes], None], size_in: tuple[float, float] = _SIZE_IN) -> str:
    with mpl.rc_context(_SETTINGS):
        canvas = Canvas(size_in, layout="constrained")
        draw(canvas.add_subplot())
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    return buffer.getvalue()


def _points(axes: Axes, x: F64, y: F64) -> None:
    axes.plot(x, y, "o", ms=2.6, mew=0, alpha=0.45, color=ACCENT, rasterized=len(x) > _MANY)


def scatter(data: Data, line: tuple[float, float] | None) -> str:
    """DEXA against the estimate with the identity and the OLS line (slope, intercept)."""

    def draw(axes: Axes) -> None:
        low, high = _span(np.concatenate([data.x, data.y]))
        axes.plot([low, high], [low, high], color=SOFT, lw=1, ls="--", label="identity")
        _points(axes, data.x, data.y)
        if line:
            ends = np.array([data.x.min(), data.x.max()])
            axes.plot(ends, line[1] + line[0] * ends, color=AMBER, label="least squares, DEXA on estimate")
        axes.set(xlim=(low, high), ylim=(low, high), xlabel="estimate, g/cm²", ylabel="DEXA, g/cm²", aspect="equal")
        axes.set_title("DEXA against estimate")
        axes.legend(loc="upper left")

    return _svg(draw)


def bland_altman(data: Data, limits: Mapping[str, Any] | None, against: str) -> str:
    """Estimate minus DEXA against the estimate or the mean of both; bias and limits with their exact intervals."""

    def draw(axes: Axes) -> None:
        x = data.x if against == "estimate" else (data.x + data.y) / 2
        difference = data.x - data.y
        axes.axhline(0, color=SOFT, lw=0.8, ls="--")
        _points(axes, x, difference)
        axes.axhline(float(difference.mean()), color=AMBER)
        room = [*difference]
        for one in (limits or {}).values():
            axes.axhspan(one["low"], one["high"], color=AMBER, alpha=0.16, lw=0)
            axes.axhline(one["value"], color=AMBER, lw=1)
            room += [one["low"], one["high"]]
        axes.set(xlim=_span(x), ylim=_span(np.array(room)), ylabel="estimate − DEXA, g/cm²")
        axes.set_xlabel("estimate, g/cm²" if against == "estimate" else "mean of estimate and DEXA, g/cm²")
        axes.set_title(f"Bland-Altman against the {against}")

    return _svg(draw)


def calibration_curve(bins: Sequence[Mapping[str, Any]], line: tuple[float, float] | None) -> str:
    """Mean DEXA of hips of about the same estimate, with 95 % intervals."""

    def draw(axes: Axes) -> None:
        x = np.array([one["mean_estimate_gcm2"] for one in bins])
        y, low, high = (
            np.array([np.nan if one["dexa"][name] is None else one["dexa"][name] for one in bins])
            for name in ("value", "low", "high")
        )
        ends = _span(np.concatenate([x, y[np.isfinite(y)], low[np.isfinite(low)], high[np.isfinite(high)]]))
        axes.plot(ends, ends, color=SOFT, lw=1, ls="--", label="identity")
        if line:
            axes.plot(x[[0, -1]], line[1] + line[0] * x[[0, -1]], color=AMBER, label="least squares")
        axes.vlines(x, low, high, color=TEAL, lw=1.4)
        axes.plot(x, y, "o", ms=4.5, color=TEAL, label="mean of a part, 95 % interval")
        axes.set(xlim=ends, ylim=ends, xlabel="mean estimate, g/cm²", ylabel="mean DEXA, g/cm²", aspect="equal")
        axes.set_title("Calibration curve")
        axes.legend(loc="upper left")

    return _svg(draw)


def roc(score: F64, targets: Mapping[str, Bools], marks: Sequence[tuple[float, float]] = (), title: str = "ROC") -> str:
    """ROC curves of finding each target (name -> truth) by a low score; `marks` are points in use, as (x, y)."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, lw=0.8, ls="--")
        for (name, low), color in zip(targets.items(), (TEAL, ACCENT), strict=False):
            if low.any() and not low.all():
                axes.plot(*roc_curve(score, low), color=color, label=f"T ≤ {name.replace('-', '−')}")
        if marks:
            axes.plot(*zip(*marks, strict=True), "D", ms=5, color=AMBER, label="cuts, T ≤ −2.5")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 − specificity", ylabel="sensitivity", title=title)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right")

    return _svg(draw)


def forest(
    whole: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str, label: str, *, zero: bool = True
) -> str:
    """One figure by subgroup with its interval, beside that of the whole cohort (line and band); `zero` marks 0."""

    def draw(axes: Axes) -> None:
        everyone = whole["figures"][name]
        if everyone["low"] is not None:
            axes.axvspan(everyone["low"], everyone["high"], color=AMBER, alpha=0.16, lw=0)
        axes.axvline(everyone["value"], color=AMBER, lw=1)
        if zero:
            axes.axvline(0, color=SOFT, lw=0.8, ls="--")
        names = []
        for place, row in enumerate([{"division": "all", "part": "hips", **whole}, *rows]):
            figure = row["figures"][name]
            names.append(f"{row['division']}: {row['part']}  (n = {row['hips']})")
            if figure["value"] is not None:
                axes.plot(
                    figure["value"], place, "s", ms=2.5 + 3.5 * np.sqrt(row["hips"] / whole["hips"]), color=ACCENT
                )
            if figure["low"] is not None:
                axes.plot([figure["low"], figure["high"]], [place, place], color=ACCENT, lw=1.3)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#e5eaf0", lw=0.6)

    return _svg(draw, (5.6, 0.75 + 0.21 * (len(rows) + 1)))


def shifts(fp32: F64, other: F64, precision: str, limits: Mapping[str, float] | None) -> str:
    """Quantized minus fp32 against fp32, with the budget of the 99th percentile."""

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=SOFT, lw=0.8, ls="--")
        _points(axes, fp32, other - fp32)
        if limits:
            for sign in (-1, 1):
                axes.axhline(sign * limits["p99_shift_gcm2"], color=AMBER, lw=1)
        axes.set(xlabel="fp32, g/cm²", ylabel=f"{precision.upper()} − fp32, g/cm²")
        axes.set_title(f"{precision.upper()} against fp32")

    return _svg(draw)


def _span(values: F64) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room
