"""What whole commands cost beside another build: `python -m export.bench.starts CHECKOUT`.

Help, the demo and one film screened, in turns, from start to end; CPU seconds with all processes they start.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import numpy as np

from export.bench.against import HERE, ratio_of_means


def main() -> None:
    """Print the mean costs and their ratio, this build over the other, with its 95 % interval."""
    options = argparse.ArgumentParser()
    options.add_argument("checkout", type=Path)
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    builds = [given.checkout.resolve(), HERE]
    commit = ["git", "-C", str(builds[0]), "describe", "--always", "--abbrev=7", "--exclude=*"]
    figures = {"other": subprocess.run(commit, capture_output=True, text=True).stdout.strip(), "rounds": given.rounds}
    for name, arguments in (("help", ["--help"]), ("demo", ["demo"]), ("screen", ["screen", "films"])):
        spent = np.array([[_cpu_s(build, arguments) for build in builds] for _ in range(given.rounds + 1)])[1:]
        ratio, low, high = ratio_of_means(*(spent[:, which][None] for which in (0, 1)))
        seconds = dict(zip(("other_cpu_s", "this_cpu_s"), spent.mean(0).round(3).tolist(), strict=True))
        figures[name] = {**seconds, "ratio": round(ratio, 3), "interval": [round(low, 3), round(high, 3)]}
    print(json.dumps(figures, indent=1))  # noqa: T201


def _cpu_s(build: Path, arguments: list[str]) -> float:
    """CPU seconds of the command and of all it waited for."""
    with TemporaryDirectory() as scratch:
        (films := Path(scratch) / "films").mkdir()
        copy(HERE / "bmd_edge" / "data" / "demo" / "left_hip.dcm", films)
        out = [] if arguments == ["--help"] else ["--out", f"{scratch}/out"]
        environment = {**os.environ, "PYTHONPATH": str(build), "XDG_CACHE_HOME": scratch}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-P", "-c", _program(build), *arguments, *out],
            cwd=scratch,
            env=environment,
            check=True,
            capture_output=True,
        )
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime


def _program(build: Path) -> str:
    """What the command `bmd-edge` of a build runs."""
    scripts = tomllib.loads((build / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["bmd-edge"].partition(":")
    return f"from {module} import {function}; {function}()"


if __name__ == "__main__":
    main()
