"""The picture of a run: every logged number over the epochs."""

import io
from pathlib import Path

from bmd_edge.system.files import replace_bytes


def plot_curves(lines: list[dict[str, float]], path: Path) -> None:
    """Draw every logged number over the epochs, one small panel each, to a PNG."""
    from matplotlib.figure import Figure

    names = [name for name in dict.fromkeys(key for line in lines for key in line) if name not in ("epoch", "seconds")]
    columns = 4
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    for index, name in enumerate(names):
        panel = figure.add_subplot(rows, columns, index + 1)
        points = [(line["epoch"], line[name]) for line in lines if name in line]
        panel.plot(*zip(*points, strict=True), lw=1)
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=7)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    replace_bytes(path, picture.getvalue())
