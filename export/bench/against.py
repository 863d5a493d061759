"""This build beside another one: both examine the same films in turns, so that every ratio is paired.

Each runs in processes of its own, with one worker that is started as a run starts it, and with its own bundle. What
stands here is CPU time: a busy machine adds to both alike.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from bmd_edge.errors import UsageError
from bmd_edge.screen.folder_plan import plan
from export.bench import one_build
from export.bench.films import ENCODERS, films
from export.bench.stages import Say

HERE = Path(__file__).parents[2]
COARSE_MM = 0.14
COLD = "mix, cold"
_MEANS = ("cpu_s", "seconds", "faults", "disk_bytes")
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Build:
    """A build at work: what it says of itself, and the process to ask."""

    facts: dict[str, str | None]
    process: "subprocess.Popen[str]"

    def examine(self, film: Path) -> dict[str, Any]:
        """What a film cost, as `one_build` says it."""
        found: dict[str, Any] = json.loads(self._ask(f"{film}\n"))
        return found

    def forget_peak(self) -> None:
        """The peak of memory is counted from here."""
        with suppress(BrokenPipeError):
            self._pipe(self.process.stdin).write("\n")

    def _ask(self, line: str) -> str:
        with suppress(BrokenPipeError):
            self._pipe(self.process.stdin).write(line)
        answer = self._pipe(self.process.stdout).readline()
        if not answer:
            raise UsageError(f"the build of {self.facts['commit'] or 'the other checkout'} ended, see above")
        return str(answer)

    @staticmethod
    def _pipe(pipe: Any) -> Any:
        assert pipe is not None
        return pipe


def compare(checkout: Path, folder: Path | None, distinct: int, rounds: int, say: Say) -> dict[str, Any]:
    """Measure this build and the one in `checkout` in turns, `rounds` times each film of a set.

    Sets are the transfer syntaxes at 9 Mpx and at detectors of `COARSE_MM`, `distinct` films each, and a folder's mix,
    once more with every film out of the page cache; or the films of `folder` alone. UsageError: `checkout` is no build
    that runs here.
    """
    if not (checkout / "bmd_edge" / "__init__.py").is_file():
        raise UsageError("--against takes `plain` or the folder of a checkout, which holds bmd_edge/")
    random = np.random.default_rng(0)
    found: dict[str, Any] = {}
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        builds = [stack.enter_context(_build(place)) for place in (checkout.resolve(), HERE)]
        for name, members in _sets(folder, distinct, Path(scratch)):
            for build in builds:
                build.forget_peak()
                build.examine(members[0])  # warms up
            costs: list[list[list[dict[str, Any]]]] = [[[] for _ in members] for _ in builds]
            for turn in range(rounds):
                say(f"{name}, turn {turn + 1} of {rounds}")
                for index in random.permutation(len(members)):
                    for which in random.permutation(len(builds)):
                        if name == COLD:
                            _drop_from_cache(members[index])
                        costs[which][index].append(builds[which].examine(members[index]))
            found[name] = _row(*costs)
        facts = [build.facts for build in builds]
    return {"other": facts[0], "this": facts[1], "rounds": rounds, "synthetic": folder is None, "sets": found}


@contextmanager
def _build(checkout: Path) -> Iterator[Build]:
    path = os.pathsep.join((str(checkout), *(entry for entry in sys.path if entry and Path(entry) != HERE)))
    process = subprocess.Popen(
        [sys.executable, "-P", one_build.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path},
    )
    with process:
        build = Build({"commit": _commit(checkout), "bundle_digest": None}, process)
        build.facts["bundle_digest"] = json.loads(build._ask(""))["bundle_digest"]
        yield build
        Build._pipe(process.stdin).close()


def _commit(checkout: Path) -> str | None:
    """The commit of a checkout, with a mark where files differ from it; None outside a repository."""
    git = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True)
    return done.stdout.strip() or None


# -- films --------------------------------------------------------------------------------------------------------


def _sets(folder: Path | None, distinct: int, scratch: Path) -> Iterator[tuple[str, list[Path]]]:
    if folder is not None:
        files = [folder.resolve() / item.file for item in plan(folder, {}) if item.action == "read"]
        if not files:
            raise UsageError(f"{folder.name}: no folder with files to measure with: give one with films, or none")
        yield "folder", files
        return
    mix = []
    for detector_mm in (None, COARSE_MM):
        for syntax in ENCODERS:
            name = syntax if detector_mm is None else f"{syntax}, {detector_mm} mm"
            made = list(films(syntax, distinct, detector_mm=detector_mm))
            mix += made[:1] if detector_mm is None else made[-1:]
            yield name, _written(made, scratch / name)
    mix += [mix[0][: len(mix[0]) // 2], mix[4][: len(mix[4]) // 2], _unprocessed(mix[0])]
    for name in ("mix", COLD):
        yield name, _written(mix, scratch / name)


def _written(made: list[bytes], folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(len(made))]
    for path, film in zip(paths, made, strict=True):
        path.write_bytes(film)
    return paths


def _unprocessed(film: bytes) -> bytes:
    """The same film as one For Processing, which is refused by its header."""
    dataset = pydicom.dcmread(io.BytesIO(film))
    dataset.PresentationIntentType = "FOR PROCESSING"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _drop_from_cache(path: Path) -> None:
    """Let the system forget what a file holds, so that it is read from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# -- figures ------------------------------------------------------------------------------------------------------


def _row(other: list[list[dict[str, Any]]], this: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Means of both builds and the ratio of their CPU time; costs by film and turn."""
    row: dict[str, Any] = {"n": sum(map(len, this))}
    for name, costs in (("other", other), ("this", this)):
        flat = [cost for film in costs for cost in film]
        row[name] = {key: round(float(np.mean([cost[key] for cost in flat])), 5) for key in _MEANS}
        row[name]["peak_mb"] = round(max(cost["peak_mb"] for cost in flat))
        row[name]["read"] = sum(cost["status"] == "read" for cost in flat)
    spent = [np.array([[cost["cpu_s"] for cost in film] for film in costs]) for costs in (other, this)]
    ratio, low, high = ratio_of_means(*spent)
    return {**row, "ratio": round(ratio, 3), "interval": [round(low, 3), round(high, 3)]}


def ratio_of_means(other: NDArray[np.float64], this: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of `this` over mean of `other`, both (films, turns), with its 95 % interval: turns are drawn anew, in pairs.

    The films stay: it is the ratio on these.
    """
    random = np.random.default_rng(0)
    rows, turns = other.shape
    drawn = random.integers(0, turns, (_RESAMPLES, rows, turns))
    ratios = [np.take_along_axis(this, one, 1).mean() / np.take_along_axis(other, one, 1).mean() for one in drawn]
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(this.mean() / other.mean()), float(low), float(high)
