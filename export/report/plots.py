"""The figures of an export report as SVG, inlined as data: the same numbers give the same bytes."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bmd_edge.bundle.error_budget import SiteShift
from bmd_edge.measure.t_score import SHOWN_CUTS, WHO_CUTS
from export.int8.sensitivity import Shift
from export.int8.shift_in_gcm2 import cut_gcm2

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

F64 = NDArray[np.float64]

_INK, _SOFT, _ACCENT, _TEAL, _RED = "#1b2430", "#5c6877", "#1d4ed8", "#0f766e", "#b91c1c"
_SETTINGS: "dict[RcKeyType, Any]" = {
    "svg.hashsalt": "bmd-edge", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 8.5,
    "axes.edgecolor": "#94a3b8", "axes.labelcolor": _INK, "text.color": _INK, "xtick.color": _SOFT,
    "ytick.color": _SOFT, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False, "legend.fontsize": 7.5,
}  # fmt: skip
_SIZE_IN = (3.6, 3.2)


def scatter(estimate: F64, dexa: F64, precision: str) -> str:
    """DEXA (n,) against one precision's estimate (n,), g/cm2, with the identity."""

    def draw(axes: Axes) -> None:
        both = np.concatenate([estimate, dexa])
        ends = [float(both.min()) - 0.03, float(both.max()) + 0.03]
        axes.plot(ends, ends, color=_SOFT, lw=1, ls="--")
        _points(axes, estimate, dexa, _ACCENT)
        axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"{precision} estimate, g/cm²", ylabel="DEXA, g/cm²")
        axes.set_title(f"{precision} against DEXA")

    return _svg(draw)


def bland_altman(site: str, fp32: F64, int8: F64, guard: SiteShift) -> str:
    """INT8 - fp32 against their mean; the error budget, where the shown WHO range changes, and the hips that did."""

    def draw(axes: Axes) -> None:
        shift, limit = int8 - fp32, guard.limits.p99_shift_gcm2
        for t in WHO_CUTS:
            axes.axvline(cut_gcm2(site, t), color=_SOFT, lw=0.8, ls=":")
            place, said = (cut_gcm2(site, t), 1), f"T = {SHOWN_CUTS[t]:g}"
            axes.annotate(said, place, xycoords=("data", "axes fraction"), fontsize=7, color=_SOFT)
        for limit_gcm2 in (-limit, limit):
            axes.axhline(limit_gcm2, color=_RED, lw=0.9, ls="--")
        axes.axhline(0, color=_SOFT, lw=0.8)
        axes.axhline(guard.mean_shift_gcm2, color=_TEAL, lw=1.2)
        _points(axes, (fp32 + int8) / 2, shift, _ACCENT)
        flipped = np.array([(f.fp32_gcm2, f.quantized_gcm2) for f in guard.flips]).reshape(-1, 2)
        axes.plot(flipped.mean(1), flipped[:, 1] - flipped[:, 0], "o", ms=4, mfc="none", mec=_RED, mew=0.9)
        room = 1.15 * max(limit, float(np.abs(shift).max()))
        axes.set(ylim=(-room, room), xlabel="mean of fp32 and INT8, g/cm²", ylabel="INT8 − fp32, g/cm²")
        axes.set_title("INT8 against fp32", pad=12)

    return _svg(draw)


def methods(shifts: Mapping[str, Shift], chosen: str) -> str:
    """RMS and 99th percentile of the shift for each range method."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(shifts))
        for offset, name, label in ((-0.2, "rms", "RMS"), (0.2, "p99", "99th percentile")):
            values = [shift[name] for shift in shifts.values()]
            axes.bar(places + offset, values, 0.38, color=_ACCENT if name == "rms" else "#93c5fd", label=label)
        axes.set_xticks(places, [f"{name} *" if name == chosen else name for name in shifts])
        axes.set(ylabel="shift of the worst site, g/cm²")
        axes.set_title("Range methods (* chosen)")
        axes.legend()

    return _svg(draw)


def sensitivity(shifts: Mapping[str, Shift], kept: tuple[str, ...]) -> str:
    """RMS shift of each layer quantized alone, the worst first; those kept in fp32 in red."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(shifts))
        colors = [_RED if name in kept else _ACCENT for name in shifts]
        axes.barh(places, [shift["rms"] for shift in shifts.values()], color=colors)
        axes.set_yticks(places, list(shifts), fontsize=6.5)
        axes.invert_yaxis()
        axes.set(xlabel="RMS shift with this layer alone in INT8, worst site, g/cm²")
        axes.set_title("Layers (red: kept in fp32)")

    return _svg(draw, (7.4, max(1.6, 0.16 * len(shifts) + 0.8)))


def _points(axes: Axes, x: F64, y: F64, color: str) -> None:
    axes.plot(x, y, "o", ms=2.6, mew=0, alpha=0.45, color=color, rasterized=True)


def _svg(draw: Callable[[Axes], None], size_in: tuple[float, float] = _SIZE_IN) -> str:
    with mpl.rc_context(_SETTINGS):
        figure = Figure(size_in, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=170)
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
