"""The box's figures in the text format of Prometheus; no label names a film, an object or a person."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.tally import STEPS_S, Durations, Tally
from bmd_edge.clinic.setup.certificates import ends
from bmd_edge.errors import UsageError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Samples = Iterable[tuple[dict[str, str], float]]


def metrics(config: Config, journal: Journal, tally: Tally, clients_gone: int = 0) -> str:
    """Everything that is measured, as Prometheus reads it; `clients_gone` is of `Clients`."""
    tally.step(journal)
    with tally.lock:
        films = [({"state": state, "code": code}, n) for (state, code), n in sorted(tally.films.items())]
        closed = tally.page_closed
        stages = [line for name, one in tally.stages.items() for line in _histogram(name, one)]
    counted = deliveries.counted(journal)
    oldest = deliveries.oldest_unsent(journal)
    lines = [
        *_lines("films_total", "counter", "Films that came into a state since the journal began.", films),
        *_lines(
            "deliveries",
            "gauge",
            "Objects of results by state and archive.",
            [({"state": state, "destination": name}, n) for (state, name), n in counted.items()],
        ),
        *_lines(
            "oldest_unsent_seconds",
            "gauge",
            "Age of the oldest object that an archive is to get and has not; 0 where none waits.",
            [({}, max(journal.clock() - oldest, 0.0) if oldest is not None else 0.0)],
        ),
        *_lines("free_bytes", "gauge", "Room on the box's disk.", [({}, shutil.disk_usage(config.root).free)]),
        *_head("stage_seconds", "histogram", "How long films wait and are read, objects take to an archive."),
        *stages,
        *_lines("page_closed_total", "counter", "How often the page's port could not be opened.", [({}, closed)]),
        *_lines("page_clients_gone_total", "counter", "Clients of the page who were too slow.", [({}, clients_gone)]),
        *_lines("certificate_days", "gauge", "Days until a certificate ends.", _certificates(config)),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, said: str) -> list[str]:
    return [f"# HELP bmd_edge_{name} {said}", f"# TYPE bmd_edge_{name} {kind}"]


def _lines(name: str, kind: str, said: str, samples: _Samples) -> list[str]:
    return [*_head(name, kind, said), *(_sample(f"bmd_edge_{name}", labels, value) for labels, value in samples)]


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{f'{{{inside}}}' if inside else ''} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _histogram(stage: str, measured: Durations) -> Iterator[str]:
    name, below = "bmd_edge_stage_seconds", 0
    for end, n in zip((*map(str, STEPS_S), "+Inf"), measured.counts, strict=True):
        below += n
        yield _sample(f"{name}_bucket", {"stage": stage, "le": end}, below)
    yield _sample(f"{name}_sum", {"stage": stage}, measured.total_s)
    yield _sample(f"{name}_count", {"stage": stage}, below)


def _certificates(config: Config) -> Iterator[tuple[dict[str, str], float]]:
    if not (config.door.dicom_tls or config.door.stow_tls):
        return
    for file in (config.tls.certificate, config.tls.ca):
        path = config.root / file
        try:
            yield {"certificate": path.name}, (ends(path) - datetime.now(UTC)).days
        except UsageError:  # it is missing, and the page and `doctor` say so
            continue
