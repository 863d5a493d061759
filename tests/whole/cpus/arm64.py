"""What can be known of ARM64 boxes without one: which wheels there are, and what runs under an emulator.

    python -m tests.whole.cpus.arm64 wheels > tests/results/arm64_wheels.json
    python -m tests.whole.cpus.arm64 emulated --root ROOT --out tests/results/arm64.json

`wheels` asks the package index for a wheel of every pinned package. `emulated` measures a demo film and runs tests of
the runtime with Debian 12's Python for arm64, unpacked in the folder ROOT (`apt-get download` and `dpkg-deb -x` of
python3.11 and what it needs), under qemu-aarch64 10 or later; that of Debian 12 crashes as ONNX Runtime is imported.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
LOCKS = ROOT / "export" / "container" / "requirements"
PLATFORMS = [f"manylinux_2_{glibc}_aarch64" for glibc in (28, 27, 17)] + ["manylinux2014_aarch64"]
FOR_ARM = [*(word for one in PLATFORMS for word in ("--platform", one)), "--python-version", "3.11"]
FOR_ARM += ["--implementation", "cp", "--only-binary", ":all:", "--no-deps"]
TESTED = ("bundle", "dicom", "film", "hips", "measure", "pixels", "report", "system", "table")
"""Rooms of the runtime whose tests are run; those of workers and commands start processes, which the emulator is not
in."""
FILMS = ("right_hip.dcm",)
CPUS = ("cortex-a53", "cortex-a76")
"""Without and with instructions for sums of 8-bit products."""


def pip(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Pip of this environment."""
    return subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True, **options)


def wheels(name: str) -> dict[str, str | None]:
    """Package and version -> the wheel that pip takes on aarch64, None where there is none."""
    entries = re.split(r"\n(?=\S)", (LOCKS / f"{name}.txt").read_text(encoding="utf-8").strip())
    found: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as scratch:
        wanted, report = Path(scratch) / "wanted.txt", Path(scratch) / "report.json"
        while entries:
            wanted.write_text("\n".join(entries) + "\n", encoding="utf-8")
            place = ["--dry-run", "--quiet", "--target", scratch, "--report", report]
            done = pip("install", *place, *FOR_ARM, "--require-hashes", "-r", wanted)
            if done.returncode == 0:
                installed = json.loads(report.read_text(encoding="utf-8"))["install"]
                urls = ((one["metadata"], one["download_info"]["url"]) for one in installed)
                found |= {f"{facts['name']} {facts['version']}": url.rsplit("/", 1)[1] for facts, url in urls}
                break
            missing = re.search(r"No matching distribution found for (\S+)==(\S+)", done.stderr)
            if missing is None:
                raise RuntimeError(done.stderr[-500:])
            found[f"{missing[1]} {missing[2]}"] = None
            entries = [one for one in entries if not one.startswith(f"{missing[1]}==")]
    return dict(sorted(found.items(), key=lambda one: one[0].lower()))


def emulated(root: Path, qemu: str, rooms: tuple[str, ...]) -> dict[str, Any]:
    """Networks and tests on emulated CPUs, beside the networks on this one."""
    from tests.whole.cpus.other_cpus import numbers

    with tempfile.TemporaryDirectory() as packages:
        pip("install", "--target", packages, *FOR_ARM, "-r", LOCKS / "clinic.txt", check=True)
        pip("install", "--target", packages, *FOR_ARM, *TOOLS, check=True)
        paths = {"PYTHONPATH": f"{ROOT}:{packages}", "PYTHONHOME": str(root / "usr"), "PYTHONDONTWRITEBYTECODE": "1"}
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        place = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")} | paths | one

        def run(cpu: str, *words: str) -> subprocess.CompletedProcess[str]:
            command = [qemu, "-cpu", cpu, "-L", str(root), str(root / "usr/bin/python3.11"), *words]
            return subprocess.run(command, env=place, cwd=ROOT, capture_output=True, text=True, check=False)

        suite = ("-m", "pytest", "-p", "no:cacheprovider", "--timeout", "3000")
        with ThreadPoolExecutor() as pool:  # each waits for a process of its own
            said = {
                cpu: pool.submit(run, cpu, "-m", "tests.whole.cpus.other_cpus", "--on", cpu, *FILMS) for cpu in CPUS
            }
            tests = {room: pool.submit(run, CPUS[-1], *suite, f"tests/bmd_edge/{room}") for room in rooms}
    return {
        "command": "python -m tests.whole.cpus.arm64 emulated",
        "films": "synthetic, of the demo",
        "qemu": subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0],
        "x86_64": numbers(list(FILMS), saturates=False),
        **{cpu: json.loads(one.result().stdout or "null") for cpu, one in said.items()},
        "tests": {room: _ending(one.result()) for room, one in tests.items()},
    }


def _ending(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """How a run of pytest ended: its code (0: all passed), its dots and letters, the tests that failed."""
    letters = "".join(re.findall(r"^([.FEsx]+)(?: +\[ *\d+%\])?$", done.stdout, re.MULTILINE))
    failed = re.findall(r"^_+ (test_[^ ]+) _+$", done.stdout, re.MULTILINE)
    return {"code": done.returncode, "passed": letters.count("."), "skipped": letters.count("s"), "failed": failed}


TOOLS = ["pytest", "pluggy", "iniconfig", "pytest-timeout", "hypothesis", "sortedcontainers", "jsonschema", "attrs"]
TOOLS += ["referencing", "rpds-py", "jsonschema-specifications", "onnx", "ml_dtypes"]


def main() -> None:
    """Print or write what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.whole.cpus.arm64", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["wheels", "emulated"])
    parser.add_argument("--root", type=Path)
    parser.add_argument("--qemu", default="qemu-aarch64")
    parser.add_argument("--rooms", nargs="*", default=TESTED)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.what == "wheels":
        found: dict[str, Any] = {"command": "python -m tests.whole.cpus.arm64 wheels"}
        found |= {name: wheels(name) for name in ("cpu", "clinic", "gpu")}
    else:
        found = emulated(asked.root, asked.qemu, tuple(asked.rooms))
    text = json.dumps(found, indent=1) + "\n"
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
