"""A training run, a finder and a film table -> a bundle: ONNX, ranges, INT8, its error budget, intervals, card."""

import importlib.metadata
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.bundle.knowledge import Knowledge
from bmd_edge.bundle.manifest import Provenance, Validity
from bmd_edge.bundle.network_input import FINDER_CLOSEUP, InputSpec
from bmd_edge.errors import TableError
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.measure.network_answer import gray_statistics
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table
from calibration.drift.control_charts import reference_of
from calibration.fit.headline_cuts import fit_headline_cuts, lowest_by_subject
from calibration.fit.intervals import fit_sites
from calibration.fit.stretch import fit_stretch
from calibration.statistics.agreement import plain_figures
from export.bundle import calibration_films
from export.bundle.adapted import check_int8, never_narrower
from export.bundle.embedded import AgainstEmbedded, against_embedded
from export.bundle.finder import Finder
from export.bundle.knowledge import check_knowledge, knowledge_on, notice_and_reason
from export.bundle.pack import Parts, pack
from export.bundle.requirements import lacking
from export.int8.choose import Answers, Int8, answers, int8_inside_budget
from export.int8.ranges import collect
from export.int8.shift_in_gcm2 import JudgingHips
from export.onnx_file.from_run import golden_input, inputs_of_run, onnx_from_run, run_facts
from export.onnx_file.spread import LEAST_HIPS
from export.report import latency, page
from export.report.range_memory import MemoryReport, report_memory
from trainer.adapt.record import Adapted, read_adapted

logger = logging.getLogger(__name__)

JUDGED_HIPS = 200
"""Films of the ranges that choose method and layers."""

_VERSIONS = ("numpy", "onnx", "onnxruntime", "torch")

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What the maker of a bundle says about it; see `bmd_edge.bundle.manifest.Validity` and `Provenance`.

    `unproven` is the reason for which a network is packed that is not shown to know anything.
    """

    version: str
    created: str
    command: str
    training_data: str
    notice: str
    unproven: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a bundle is made: with an INT8 model too; with estimates that are stretched until they spread as DEXA does
    (`calibration.fit.stretch`); with a look at the memory of the range pass.
    """

    int8: bool = True
    stretch: bool = False
    memory: bool = False


def check_requirements(table: Path, training_data: str | None, int8: bool) -> None:
    """TableError that lists all that an export with these options would lack, before anything is made."""
    missing = list(lacking(read_table(table), training_data, LIMITS.min_hips if int8 else 0))
    if missing:
        raise TableError(f"{table.name}: {'; '.join(missing)}")


def export_bundle(
    runs: Sequence[Path],
    table: Path,
    out: Path,
    statement: Statement,
    *,
    finder: Finder,
    options: Options = Options(),
    progress: Progress = logger.info,
) -> VerifiedBundle:
    """Make the bundle `out`.

    Args:
        runs: run folder of the BMD network, or of several that become one, see `trainer.networks.ensemble`; the report
            is written into the first, whether INT8 passed or not.
        table: film table; of its split `calibrate` one half gives the ranges, how far estimates are stretched and
            the spread, the other error budget and interval.
        out: folder of the bundle; replaced if it is one.
        options: with an INT8 model, and nothing stretched, unless they say otherwise.
        progress: called with a sentence at each step.

    Raises:
        UsageError: a run folder or the table is not usable.
        TableError: the split `calibrate` is too small, or not apart from what was learned from.
        BundleError: the ONNX file differs from the network, the network is not shown to know more than is known without
            a film (and `statement` has no reason to pack it all the same) or too little to be stretched, or INT8 is
            outside its error budget on the CPU; one that is outside it with TensorRT's numbers alone is packed for the
            CPU.
    """
    ranges, judging = calibration_films.halves(calibration_films.table_of_rois(table, progress))
    for run in runs:
        calibration_films.check_apart(run, [*ranges, *judging])
    if options.int8:
        _enough_to_judge(table.name, len(judging))
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch)
        (files / "finder.onnx").write_bytes(finder.onnx)
        networks = _networks(runs, files, ranges, judging, options, statement.unproven, progress)
        makers = networks.adapted.makers if networks.adapted else calibration_films.only_maker([*ranges, *judging])
        if contradicted := calibration_films.makers_contradicted([*ranges, *judging]):
            progress(contradicted)
        provenance = Provenance(
            created=statement.created,
            command=statement.command,
            versions={name: importlib.metadata.version(name) for name in _VERSIONS},
            runs={"finder": finder.facts}
            | {f"bmd_{n}" if n > 1 else "bmd": run_facts(run) | networks.fitted_facts for n, run in enumerate(runs, 1)},
            calibration_films=calibration_films.facts(table, ranges, judging),
            quantization=networks.made.quantization if networks.made else None,
        )
        parts = _parts(statement, finder, files / "finder.onnx", networks, judging, provenance, makers)
        if not all(parts.operating_points.values()):
            low = lowest_by_subject(judging, networks.answers["fp32"].bmd)[1]
            half = f"the judging half holds {np.count_nonzero(low)} and {np.count_nonzero(~low)}"
            progress(f"no headline: its cuts take {CUTS_TAKE}, {half}")
        page.save(runs[0], parts, _measured(networks))
        progress(f"report: {runs[0].name}/{page.NAME}.html")
        return pack(out, parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Networks:
    """The BMD network's files by precision, and what each answers for the judging hips, whose `images` are in batches.

    `inputs` are those of the bundle's networks. `embedded` says how the embedded bundle does on these hips. `made` says
    how INT8 was made, `memory` what the range pass took; None where nobody asked; `adapted` what the runs say of that,
    `fitted_facts` by how much estimates were stretched and on how many hips the spread was fitted, where they were.
    """

    inputs: dict[str, InputSpec]
    files: dict[str, Path]
    answers: dict[str, Answers]
    hips: JudgingHips
    images: list[NDArray[np.float32]]
    embedded: AgainstEmbedded
    made: Int8 | None
    adapted: Adapted | None
    memory: MemoryReport | None
    fitted_facts: dict[str, str]


def _networks(
    runs: Sequence[Path],
    folder: Path,
    ranges: list[HipRow],
    judging: list[HipRow],
    options: Options,
    unproven: str | None,
    progress: Progress,
) -> _Networks:
    """Write the model files into `folder` and let each answer for the judging hips."""
    inputs, adapted = inputs_of_run(runs[0]), read_adapted(*runs)
    spec = inputs["bmd"]
    hips, images = calibration_films.judging_hips(judging), list(calibration_films.batches(judging, spec=spec))
    files = {"fp32": folder / "bmd.onnx"}
    error = onnx_from_run("bmd", runs[0], files["fp32"], runs[1:])
    progress(f"bmd: ONNX Runtime agrees with torch to {error:.1e} of the range")
    stretched = None
    if options.stretch:
        before = answers(files["fp32"], list(calibration_films.batches(ranges, spec=spec)))
        stretched = fit_stretch(before.bmd, calibration_films.dexa(ranges), calibration_films.as_met(ranges))
        progress(f"bmd: stretched, {stretched.sentence()}")
    fitted = None if adapted or len(ranges) < LEAST_HIPS else f"fitted on {len(ranges)} hips that did not teach it"
    if stretched or fitted:
        unseen = (calibration_films.batches(ranges, spec=spec), calibration_films.dexa(ranges)) if fitted else None
        onnx_from_run("bmd", runs[0], files["fp32"], runs[1:], stretched, unseen)
    if fitted:
        progress(f"bmd: spread {fitted}")
    found, made = {"fp32": answers(files["fp32"], images)}, None
    embedded = against_embedded(found["fp32"].bmd, judging, read_bundle())
    for line in embedded.sentences():
        progress(line)
    known = knowledge_on(judging, found["fp32"].bmd)
    check_knowledge(known, unproven)  # before anything that takes long
    for line in Knowledge({"fp32": known}, unproven).sentences():
        progress(line)
    watched = report_memory(files["fp32"], ranges, spec=spec) if options.memory else None
    if watched:
        progress(watched.sentence())
    if options.int8:
        files["int8"] = folder / "bmd.int8.onnx"
        made = _int8(files, ranges, spec, images, hips, found["fp32"], progress)
        found["int8"] = made.answers
        if adapted:
            check_int8(adapted, files, spec, progress)
    return _Networks(
        inputs=inputs,
        files=files,
        answers=found,
        hips=hips,
        images=images,
        embedded=embedded,
        made=made,
        adapted=adapted,
        memory=watched,
        fitted_facts=({"stretch": stretched.sentence()} if stretched else {}) | ({"spread": fitted} if fitted else {}),
    )


def _parts(
    statement: Statement,
    finder: Finder,
    finder_file: Path,
    networks: _Networks,
    judging: list[HipRow],
    provenance: Provenance,
    makers: tuple[str, ...],
) -> Parts:
    """Everything that is packed: the files, and what is fitted on the judging hips for each precision."""
    found, dexa, made = networks.answers, networks.hips.dexa_gcm2, networks.made
    gray = np.stack([gray_statistics(image) for batch in networks.images for image in batch])
    known = {name: knowledge_on(judging, one.bmd) for name, one in found.items()}
    notice, unproven = notice_and_reason(statement.notice, known, statement.unproven)
    of_one = "For" if networks.adapted else "Made with"
    notice += f" {of_one} films of one maker only: {', '.join(makers)}." if makers else ""
    notice += f" {networks.adapted.sentence}" if networks.adapted else ""
    return Parts(
        version=statement.version,
        models={"finder": {"fp32": finder_file}, "bmd": networks.files},
        calibration={
            name: never_narrower(
                fit_sites(one.bmd, one.spread, dexa, SITES, groups=networks.hips.makers), networks.adapted
            )
            for name, one in found.items()
        },
        shift=made.shift if made else None,
        shift_as_written=made.shift_as_written if made and made.shift_as_written.passed else None,
        plausibility=finder.plausibility,
        inputs=networks.inputs,
        golden_inputs={"finder": golden_input(FINDER_CLOSEUP), "bmd": golden_input(networks.inputs["bmd"])},
        validity=Validity(training_data=statement.training_data, notice=notice, makers=makers),
        provenance=provenance,
        accuracy={name: accuracy(one.bmd, dexa) for name, one in found.items()},
        drift={name: one for name, a in found.items() if (one := _reference(judging, a, gray)) is not None},
        operating_points={name: fit_headline_cuts(judging, one.bmd) for name, one in found.items()},
        knowledge=Knowledge(known, unproven),
    )


def _reference(judging: list[HipRow], found: Answers, gray: NDArray[np.float64]) -> dict[str, Any] | None:
    """What hips as they are met look like: with those that are far stranger, a clinic's would be off it at once."""
    met = calibration_films.as_met(judging)
    rows = [row for row, one in zip(judging, met, strict=True) if one]
    return reference_of(rows, found.bmd[met], found.spread[met], found.embedding[met], gray[met]) if rows else None


def _measured(networks: _Networks) -> page.Measured:
    """What the report shows beside the parts."""
    return page.Measured(
        bmd={name: one.bmd for name, one in networks.answers.items()},
        dexa=networks.hips.dexa_gcm2,
        embedded=networks.embedded,
        int8=networks.made,
        memory=networks.memory,
        latency=latency.measure(networks.files, networks.images[0][:1]),
        machine=latency.machine(),
    )


def accuracy(bmd: NDArray[np.floating], labels: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Pearson r, RMSE and bias (estimate minus DEXA, g/cm2) of each site; both arrays (n, sites)."""
    figures = {}
    for column, site in enumerate(SITES):
        found = plain_figures(bmd[:, column], labels[:, column])
        figures[site] = {"n": float(len(bmd))} | {name: found[name] for name in ("r", "rmse_gcm2", "bias_gcm2")}
    return figures


def _enough_to_judge(name: str, guard_hips: int) -> None:
    if guard_hips < LIMITS.min_hips:
        raise TableError(
            f"{name}: {guard_hips} hips of the split {calibration_films.SPLIT} are left to judge INT8,"
            f" {LIMITS.min_hips} or more"
            f" are needed: put {2 * LIMITS.min_hips} labelled hips into this split (half of them give the ranges), or"
            " make the bundle without INT8, --no-int8"
        )


def _int8(
    files: dict[str, Path],
    ranges: list[HipRow],
    spec: InputSpec,
    images: list[NDArray[np.float32]],
    hips: JudgingHips,
    fp32: Answers,
    progress: Progress,
) -> Int8:
    """Write files["int8"] from files["fp32"]; `images` are the judging hips', `fp32` its answers for them."""
    made = int8_inside_budget(
        files,
        collect(files["fp32"], calibration_films.batches(ranges, spec=spec)),
        list(calibration_films.batches(ranges[:: max(1, len(ranges) // JUDGED_HIPS)][:JUDGED_HIPS], spec=spec)),
        images,
        hips,
        fp32,
        LIMITS,
        progress,
    )
    for sentence in [*made.shift.sentences(), *made.shift_as_written.sentences()]:
        progress(sentence)
    if made.shift.passed and not made.shift_as_written.passed:
        progress("int8: for the CPU alone; with TensorRT's numbers it is outside its error budget, a GPU computes fp32")
    return made
