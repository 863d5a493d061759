"""One-line faults that a test must notice: `python -m tests.whole.mutations [WORD]`.

Each entry of `mutations.toml` is made by hand in a copy of this checkout; the test that it names must then fail, after
it has passed without. WORD takes only the entries whose file or test holds it. About five seconds each.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutations.toml")
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "bmd-edge-results")
_FAILED = 1  # pytest's status where tests ran and failed; a mutation that cannot even be imported proves nothing


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `file`, the only line that reads `line`, apart from its indentation, becomes `changed`; `test` must fail."""

    file: str
    line: str
    changed: str
    test: str

    def places(self, root: Path) -> list[int]:
        """Numbers of the lines it would change."""
        lines = (root / self.file).read_text(encoding="utf-8").splitlines()
        return [number for number, line in enumerate(lines) if line.strip() == self.line]

    def apply(self, root: Path) -> str:
        """Change the file; returns what it held."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        (place,) = self.places(root)
        lines[place] = lines[place].replace(self.line, self.changed)
        path.write_text("".join(lines), encoding="utf-8")
        return text


def read_list() -> list[Mutation]:
    """Every entry of the list."""
    return [Mutation(**entry) for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutation"]]


def run(root: Path, *tests: str) -> int:
    """The exit status of pytest in a copy, without any file that a later run could take for fresh."""
    place = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=root, env=place, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT).returncode


def main(words: list[str], say: Callable[[str], object]) -> int:
    """Make every mutation; returns 1 if one is not noticed."""
    chosen = [one for one in read_list() if all(word in one.file + one.test for word in words)]
    unnoticed = 0
    with TemporaryDirectory() as scratch:
        root = Path(shutil.copytree(ROOT, Path(scratch) / "copy", ignore=_LEFT_OUT))
        if status := run(root, *dict.fromkeys(one.test for one in chosen)):
            say(f"without any mutation pytest ends with {status}")
            return 1
        for one in chosen:
            text = one.apply(root)
            status = run(root, one.test)
            (root / one.file).write_text(text, encoding="utf-8")
            noticed = status == _FAILED
            unnoticed += not noticed
            say(f"{'noticed' if noticed else f'NOT NOTICED ({status})'}: {one.file}: {one.changed}")
    say(f"{len(chosen) - unnoticed} of {len(chosen)} noticed")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], partial(print, flush=True)))
