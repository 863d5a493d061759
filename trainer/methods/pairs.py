"""Which hips belong together: those of one film, and films of one view.

A cohort that says so has `x_film` (the hips of one film share it, their minerals are independent) and `x_view` (bone
and pose: the films that share it have one true BMD). Two films of the same hips make a block; what is equal and what
differs inside one tells the bone from the film.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmd_edge.table.film_table import HipRow


class Pairs:
    """Codes of film and view of each row, (n,) int64: equal where rows share one, and nobody else's where none is said.

    `view_sets` lists, for each set of views, the rows of every film that shows it.
    """

    def __init__(self, rows: Sequence[HipRow]) -> None:
        self.film = _codes((row.extra.get("x_film"), place) for place, row in enumerate(rows))
        self.view = _codes((row.extra.get("x_view"), place) for place, row in enumerate(rows))
        films: dict[int, list[int]] = defaultdict(list)
        for place, film in enumerate(self.film.tolist()):
            films[film].append(place)
        sets: dict[frozenset[int], list[list[int]]] = defaultdict(list)
        for places in films.values():
            sets[frozenset(self.view[places].tolist())].append(places)
        self.view_sets = list(sets.values())

    def order(self, rng: Generator) -> NDArray[np.int64]:
        """All rows once, in an order in which the rows of two films of the same views stand together."""
        blocks = []
        for films in self.view_sets:
            drawn = [films[place] for place in rng.permutation(len(films))]
            blocks += [list(chain(*drawn[start : start + 2])) for start in range(0, len(drawn), 2)]
        return np.array([place for turn in rng.permutation(len(blocks)) for place in blocks[turn]], np.int64)


def _codes(names: Iterable[tuple[str | None, int]]) -> NDArray[np.int64]:
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(name or place, len(known)) for name, place in names], np.int64)
