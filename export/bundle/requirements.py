"""All that an export needs of a film table and of its command, said at once and before anything is made."""

from collections.abc import Iterator, Sequence

from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from export.bundle.calibration_films import MIN_SUBJECTS, SPLIT


def lacking(rows: Sequence[HipRow], training_data: str | None, judging_hips: int) -> Iterator[str]:
    """What is missing, a sentence each.

    Args:
        rows: of the film table; of a phantom's the stored regions count, of a clinic's every row, of which the finder
            may leave some out.
        training_data: what the maker of the bundle says of it.
        judging_hips: the least for judging INT8; 0 where none is made.
    """
    labelled = [
        row
        for row in rows
        if row.split == SPLIT
        and row.extra.get("x_image", "roi") == "roi"
        and all(row.bmd_gcm2[site] is not None for site in SITES)
    ]
    subjects = len({row.subject for row in labelled})
    if subjects < 2 * MIN_SUBJECTS:
        yield (
            f"{subjects} subjects of the split {SPLIT} have DEXA of every site, {2 * MIN_SUBJECTS} are the least: one"
            " half gives ranges, the other judges and sets the interval"
        )
    if len(labelled) < 2 * judging_hips:
        yield (
            f"{len(labelled)} hips of the split {SPLIT} have DEXA of every site, INT8 needs {2 * judging_hips}, half of"
            " which judge it: add some, or make the bundle without INT8, --no-int8"
        )
    if training_data is None and not all("x_scene" in row.extra for row in rows):
        yield "the table holds no phantom films: say what the network was trained on, --training-data"
