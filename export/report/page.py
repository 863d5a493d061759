"""The report of an export, in the run folder: what each precision does to the numbers, and what was tried for INT8.

`export_report.json` for programs, `export_report.html` for people: one page that stands alone, in the look of the
screening report.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.measure.t_score import REFERENCE_NAME
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.pages import SITE_NAMES, templates
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from export.bundle.embedded import AgainstEmbedded
from export.bundle.model_card import budget_table
from export.bundle.pack import Parts
from export.int8.choose import Int8
from export.report import plots
from export.report.latency import Latency
from export.report.range_memory import MemoryReport

NAME = "export_report"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What an export measured beside the parts of its bundle.

    `bmd` is precision -> estimates (n, sites) g/cm2 for the judging hips, `dexa` their labels, `embedded`
    how the embedded bundle does on them.
    """

    bmd: Mapping[str, NDArray[np.floating]]
    dexa: NDArray[np.float64]
    embedded: AgainstEmbedded
    int8: Int8 | None
    memory: MemoryReport | None
    latency: Sequence[Latency]
    machine: str


def save(run: Path, parts: Parts, found: Measured) -> None:
    """Write both reports into the run folder, atomically."""
    facts = report_facts(parts, found)
    with replace_file(run / f"{NAME}.json") as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    with replace_file(run / f"{NAME}.html") as file:
        file.write(page(facts, found))


def report_facts(parts: Parts, found: Measured) -> dict[str, Any]:
    """The report as plain values, without a path of this machine."""
    files = {path.name: path.stat().st_size for models in parts.models.values() for path in models.values()}
    facts: dict[str, Any] = {
        "use": RESEARCH_USE,
        "version": parts.version,
        "validity": asdict(parts.validity),
        "provenance": asdict(parts.provenance),
        "accuracy": {name: dict(sites) for name, sites in parts.accuracy.items()},
        "embedded": found.embedded.facts(),
        "bytes": files,
        "machine": found.machine,
        "latency": [asdict(one) for one in found.latency],
        "memory": found.memory and {**asdict(found.memory), "sentence": found.memory.sentence()},
        "int8": None,
    }
    if (made := found.int8) is not None:
        facts["int8"] = {
            "passed": made.shift.passed and made.shift_as_written.passed,
            "failures": [*made.shift.failures(), *made.shift_as_written.failures()],
            "quantization": asdict(made.quantization),
            "judged_hips": made.judged_hips,
            "range_methods": made.methods,
            "layer_sensitivity": made.sensitivity,
            "guard_runs": made.guard_runs,
            "guard": {name: asdict(site) for name, site in made.shift.sites.items()},
            "guard_as_written": {name: asdict(site) for name, site in made.shift_as_written.sites.items()},
        }
    return facts


def page(facts: Mapping[str, Any], found: Measured) -> str:
    """The report as one HTML page; nothing is loaded from anywhere and no script runs."""
    environment = templates(Path(__file__).parent / "templates")
    guard = found.int8.shift.sites if found.int8 else None
    return environment.get_template("export_report.html.j2").render(
        facts=facts,
        names=SITE_NAMES,
        guard=budget_table("INT8", {SITE_NAMES[name].lower(): site for name, site in guard.items()}) if guard else None,
        reference=REFERENCE_NAME,
        sites=[_site_figures(site, found) for site in SITES],
        choices=_choices(found.int8),
    )


def _site_figures(site: str, found: Measured) -> dict[str, Any]:
    column = SITES.index(site)
    columns = {name: values[:, column].astype(np.float64) for name, values in found.bmd.items()}
    images = [plots.scatter(values, found.dexa[:, column], name) for name, values in columns.items()]
    if found.int8 is not None:
        guard = found.int8.shift.sites[site]
        images.append(plots.bland_altman(site, columns["fp32"], columns["int8"], guard))
    return {"site": site, "images": images}


def _choices(int8: Int8 | None) -> list[str]:
    if int8 is None:
        return []
    made = int8.quantization
    return [
        plots.methods(int8.methods, made.range_method),
        plots.sensitivity(int8.sensitivity, made.layers_fp32),
    ]
