"""`python -m trainer.domains`: runs what is missing of the experiment of adaptation, and writes its result.

Films first, then starts, trials, the units that judge, seed after seed, and the learning curves; it can be killed and
run again.
"""

import argparse
import json
import logging
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bmd_edge.system.files import replace_file
from trainer.domains.design import NONE, POOL, ROWS, TESTED, Size, curve, starts, table, trials
from trainer.domains.summary import chosen, curve_rows, summary
from trainer.domains.units import run_unit, start, write_films
from trainer.paper_table.effort import missing_films
from trainer.phantom.cohort.plan import cohort_path
from trainer.phantom.commands import with_progress

logger = logging.getLogger("trainer.domains")
_TELL_ALL = partial(logging.basicConfig, level=logging.INFO, format="%(message)s")

FILM_CPU_S, START_CPU_MINUTES, UNIT_CPU_MINUTES = 0.5, 8.0, 1.4
"""Of one film, of one start and of one adaptation at full scale, about, on a free core with AVX-512 BF16."""


def cost(size: Size, out: Path) -> str:
    """What is to be made, and about how many core-hours that takes."""
    films = sum(map(missing_films, size.cohorts.values()))
    plain = dict.fromkeys(ROWS, 0)
    wanted = [*trials(size), *table(size, plain), *curve(size, plain, size.rows[:2])]
    missing = sum(unit.row != NONE and not (out / f"{unit.name}.json").is_file() for unit in wanted)
    minutes = films * FILM_CPU_S / 60 + size.budget * (POOL * START_CPU_MINUTES + missing * UNIT_CPU_MINUTES)
    return f"{films} films, {POOL} starts and {missing} adaptations: about {minutes / 60:.1f} core-hours"


def main() -> None:
    """Run the experiment and write OUT.json beside the units' folder OUT."""
    parser = argparse.ArgumentParser(prog="python -m trainer.domains", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("trainer/results/adapt"), help="folder of the units")
    parser.add_argument("--budget", type=float, default=1.0, help="share of films and steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS), help="rows, with commas between them")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a film or a training at a time")
    parser.add_argument("--cost", action="store_true", help="say what is missing and what it takes, and stop")
    given = parser.parse_args()
    _TELL_ALL()
    size = Size(given.budget, given.seeds, tuple(given.rows.split(",")))
    logger.info(cost(size, given.out))
    if not given.cost:
        run(size, given.out, given.workers, _command(size))


def _command(size: Size) -> str:
    options = f" --budget {size.budget:g} --seeds {size.seeds} --rows {','.join(size.rows)}"
    return "python -m trainer.domains" + ("" if size == Size() else options)


def run(size: Size, out: Path, workers: int, command: str) -> Path:
    """Make what is missing; returns the path of the result."""
    for config in size.cohorts.values():
        with_progress(config, cohort_path(config), workers)
    write_films(size, TESTED, out)
    with ProcessPoolExecutor(workers, get_context("spawn"), _TELL_ALL) as pool:
        list(pool.map(partial(start, size, tell=logger.info), starts(size)))
        finish = partial(run_unit, size=size, out=out, tell=logger.info)
        tried = list(pool.map(finish, trials(size)))
        best, rows = chosen(tried), curve_rows(tried)
        found = [*tried, *pool.map(finish, table(size, best))]
        _write(found, size, out, command)  # a table before the curve
        found += pool.map(finish, curve(size, best, rows))
    return _write(found, size, out, command)


def _write(units: list[dict[str, object]], size: Size, out: Path, command: str) -> Path:
    hips = json.loads((out / "films.json").read_text(encoding="utf-8"))
    place = out.with_name(f"{out.name}.json")
    with replace_file(place) as file:
        file.write(json.dumps(summary(units, hips, size, command), indent=1) + "\n")
    return place


if __name__ == "__main__":
    main()
