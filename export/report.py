"""The report of an export, in the run folder: what each precision does to the numbers, and what was tried for INT8."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.choose import Int8
from export.memory import MemoryReport

NAME = "export_report"

Accuracy = Mapping[str, Mapping[str, Mapping[str, float]]]
"""precision -> site -> figure -> value."""


def save(run: Path, *, int8: Int8 | None, accuracy: Accuracy, memory: MemoryReport | None) -> None:
    """Write `export_report.json` into the run folder."""
    facts = figures(int8, accuracy, memory)
    (run / f"{NAME}.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def figures(int8: Int8 | None, accuracy: Accuracy, memory: MemoryReport | None) -> dict[str, Any]:
    """The report as plain values."""
    facts: dict[str, Any] = {"accuracy": accuracy, "memory": asdict(memory) if memory else None, "int8": None}
    if int8 is not None:
        facts["int8"] = {
            "passed": int8.parity.passed,
            "failures": int8.parity.failures(),
            "quantization": asdict(int8.quantization),
            "judged_hips": int8.judged_hips,
            "range_methods": int8.methods,
            "layer_sensitivity": int8.sensitivity,
            "guard_runs": int8.guard_runs,
            "guard": {name: asdict(site) for name, site in int8.parity.sites.items()},
        }
    return facts
