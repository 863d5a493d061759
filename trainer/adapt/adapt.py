"""A parent network and a clinic's films -> an adapted run folder; it goes on where it was killed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from bmd_edge.table.film_table import HipRow, read_table, write_table
from calibration.statistics.conformal import conformal_scale
from trainer.adapt.clinic import maker_spellings
from trainer.adapt.interval import least_scale
from trainer.adapt.parent import Parent, check_parent, input_facts, parent_of
from trainer.adapt.proxies import BLIND, UNLEARNED, Hips, Seen, check, facts, proxies
from trainer.adapt.proxies import said as sentences
from trainer.adapt.record import BEGUN, LEFT_OUT, NAME, TABLE
from trainer.commands import run_training
from trainer.images.roi_files import Rois, read_rois
from trainer.methods.supervised import answers, in_use
from trainer.networks.build import load_run
from trainer.run.settings import Config, SemiConfig
from trainer.run.settings_file import read_config

COVERAGE = 0.9
HELD = "calibrate"
"""Split of the labelled films that judges whether they are forgotten: no training learns from it."""

Say = Callable[[str], None]


def adapt(
    parent: Path | None,
    clinic: Sequence[HipRow],
    labelled: Path,
    out: Path,
    recipe: str,
    changes: dict[str, str],
    say: Say,
) -> dict[str, Any]:
    """Adapt each network of a parent and write the run folder `out`, with those after the first in run folders of its
    own; returns what its `NAME` says.

    Args:
        parent: a run folder or a bundle; None is the embedded bundle.
        clinic: the clinic's hips, see `trainer.adapt.clinic.regions`.
        labelled: film table of regions with their BMD: splits train, val and `HELD`.
        out: the run folder.
        recipe: see `trainer.run.settings_file.read_config`; it has to start from a trained network.
        changes: settings to replace.
        say: hears what was found, a line at a time.

    Raises:
        UsageError: the parent or the recipe does not fit.
        TableError: a film is missing, or the adapted network got worse.
    """
    rows = _labelled(labelled)
    held = read_rois([row for row in rows if row.split == HELD and row.extra.get("x_image") == "roi"])
    spec = input_facts(parent)
    known = parent_of(parent, out / "parent", in_use(held, spec))
    settings = settings_for(known, spec, recipe, changes)
    out.mkdir(parents=True, exist_ok=True)
    table = _joined(rows, labelled.parent, clinic, out)
    (out / NAME).unlink(missing_ok=True)  # what is adapted further is not adapted yet
    others = [f"network_{number}" for number in range(2, len(known.runs) + 1)]
    runs = [out, *(out / name for name in others)]
    for place, run in enumerate(runs):
        first = [*known.runs[place:], *known.runs[:place]]  # whom a training starts from
        run_training(settings, table, run, committee=first[: settings.committee])
    excused = {} if _learns(settings) else UNLEARNED
    found = _judged(known, spec, read_rois(clinic, labelled=False), held, runs, excused, say)
    say(BLIND)
    said = {
        "adapted_without_dexa_on_films": len({row.extra["x_film"] for row in clinic}),
        "hips": len(clinic),
        "makers": maker_spellings(clinic),
        "recipe": recipe,
        "other_networks": others,
        "parent": known.facts,
        **found,
        "not_seen": BLIND,
    }
    replace_bytes(out / NAME, (json.dumps(said, indent=1) + "\n").encode())
    return said


def settings_for(parent: Parent, spec: InputSpec, recipe: str, changes: dict[str, str]) -> SemiConfig:
    """The recipe's settings with the parent's network and input; all its networks name pseudo BMDs.

    Raises:
        UsageError: the recipe starts from no trained network.
    """
    made = json.loads((parent.runs[0] / "config.json").read_text(encoding="utf-8"))
    given = {"network": made["network"], "disc_share": spec.disc_share, "size_px": spec.size_px}
    given |= {name: made["kwargs"][name] for name in ("width", "fine") if name in made["kwargs"]}
    given |= {"low_percentile": spec.low_percentile, "high_percentile": spec.high_percentile}
    texts = {name: json.dumps(value) for name, value in given.items()}
    config = _adapting(recipe, read_config(recipe, texts | changes))
    return replace(config, committee=len(parent.runs) if config.method == "self_training" else 1)


def _learns(config: SemiConfig) -> bool:
    """Whether weights change, and not norms alone."""
    return config.method != "statistics" or config.labelled_weight > 0


def _adapting(recipe: str, config: Config) -> SemiConfig:
    if not isinstance(config, SemiConfig) or config.pretrain_epochs:
        raise UsageError(f"{recipe} adapts no trained network: choose another --recipe, or set pretrain_epochs = 0")
    return config


def _labelled(table: Path) -> list[HipRow]:
    """The rows of a table of regions that has all splits; TableError names those that it lacks."""
    rows = read_table(table)
    there = {row.split for row in rows if row.extra.get("x_image") == "roi"}
    if lacking := [split for split in ("train", "val", HELD) if split not in there]:
        raise TableError(
            f"{table.name}: no region (x_image roi) of the split {', '.join(lacking)}; give a cohort of `bmd-edge"
            " phantom` with --labelled and --calibrate, or leave --table out"
        )
    return rows


def _joined(rows: Sequence[HipRow], folder: Path, clinic: Sequence[HipRow], out: Path) -> Path:
    """The table in `out` of the labelled films and the clinic's, whose folders are linked beside it."""
    homes = {"labelled": folder, "clinic": clinic[0].film_path.parents[1]}
    for name, home in homes.items():
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(home.resolve(), target_is_directory=True)
    kept = [row for row in rows if row.split in ("train", "val", "test", HELD) and row.extra.get("x_image") == "roi"]
    given = [
        replace(row, film=f"{name}/{row.film}")
        for name, some in (("labelled", kept), ("clinic", clinic))
        for row in some
    ]
    write_table(out / TABLE, given)
    return out / TABLE


def _judged(
    parent: Parent,
    spec: InputSpec,
    clinic: Rois,
    held: Rois,
    adapted: Sequence[Path],
    excused: Mapping[str, str],
    say: Say,
) -> dict[str, Any]:
    """Proxies, which are told and checked, and the least multiplier of the interval at each site."""
    seen = [_seen(runs, spec, clinic, held) for runs in (parent.runs, adapted)]
    dexa = held.labels_gcm2.astype(np.float64)
    (before, known_spread), (after, spread) = seen
    ratios = proxies(before, after, _hips(clinic), dexa, [row.subject for row in held.rows])
    for line in sentences(ratios, excused):
        say(line)
    check(ratios, excused)
    scale = parent.scale
    if scale is None:
        scale = np.array(
            [
                conformal_scale(before.phantom_bmd[:, k] - dexa[:, k], known_spread[:, k], COVERAGE)
                for k in range(len(SITES))
            ]
        )
    least = least_scale([scale * before.spread, scale * known_spread], [after.spread, spread])
    return {
        "least_scale": dict(zip(SITES, least.round(4).tolist(), strict=True)),
        "proxies": facts(ratios),
    }


def _hips(clinic: Rois) -> Hips:
    return Hips(
        person=[row.subject for row in clinic.rows],
        film=[row.extra["x_film"] for row in clinic.rows],
        day=[row.extra.get("x_view") for row in clinic.rows],
        copies=lambda one, other: np.array_equal(clinic.pixels[one], clinic.pixels[other]),
    )


def _seen(runs: Sequence[Path], spec: InputSpec, clinic: Rois, held: Rois) -> tuple[Seen, Any]:
    """What networks say together, as a bundle of them does, and the spread for the phantom's films. The embedding is
    the first one's.
    """
    from trainer.networks.ensemble import Ensemble

    networks = [load_run(run) for run in runs]
    network = Ensemble(networks).eval() if len(networks) > 1 else networks[0]
    (bmd, spread, embedding), (own, own_spread, own_embedding) = (
        [part.astype(np.float64) for part in answers(network, rois, spec=spec)] for rois in (clinic, held)
    )
    return Seen(bmd, spread, embedding, own, own_embedding), own_spread


def check_start(parent: Path | None, labelled: Path | None, recipe: str, changes: dict[str, str]) -> None:
    """What can be wrong with everything but the films: said before any of them is read, and any is made.

    Raises:
        UsageError, BundleError, TableError: as of `adapt`.
        MissingExtra: as of `parent_of`.
    """
    check_parent(parent)
    _adapting(recipe, read_config(recipe, changes))
    if labelled:
        _labelled(labelled)


def check_same(out: Path, *what: str) -> str:
    """What `BEGUN` says in a run folder of these; UsageError if the folder was begun from another parent, folder or
    table, or holds something else.
    """
    mark, text = out / BEGUN, sha256("\n".join(what).encode()).hexdigest()
    if mark.is_file() and mark.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{out.name} holds an adaptation of another network or folder; choose another --out or remove it"
        )
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out.name}: --out is a file: give a folder")
    if not mark.is_file() and out.exists() and {one.name for one in out.iterdir()} - {LEFT_OUT}:
        raise UsageError(f"{out.name} is not empty and holds no adaptation; choose another --out")
    return text


def begin(out: Path, text: str) -> None:
    """Mark a run folder as one of an adaptation; of films that are refused none is begun."""
    out.mkdir(parents=True, exist_ok=True)
    replace_bytes(out / BEGUN, text.encode())
