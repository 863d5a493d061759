"""What this process may use of the machine, within the limits of its control group, and hands on to its workers."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bmd_edge.errors import UsageError

_CGROUPS = Path("/sys/fs/cgroup")

OWNER_BYTES = 100 << 20
WORKER_BYTES = 350 << 20
IDLE_BYTES = 150 << 20
"""What the owner of a run, a worker at a film of ordinary size, and one without a film are reckoned to take."""


def cpus() -> int:
    """CPUs this process may use: its affinity, cut by the quotas of its control group and those above."""
    allowed = len(os.sched_getaffinity(0))
    quotas = [*_limits("", "cpu.max"), *_limits("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us")]
    for quota, period in map(str.split, quotas):
        if quota not in ("max", "-1"):
            allowed = min(allowed, max(1, int(quota) // int(period)))
    return allowed


@cache
def cpu_name() -> str:
    """The kind of CPU, as the system calls it: what numbers may differ by in their last digits."""
    facts = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return facts[1] if facts else platform.machine()


def memory_bytes() -> int:
    """Memory this process may use: that of the machine, cut by the limits of its control group and those above."""
    texts = [*_limits("", "memory.max"), *_limits("memory", "memory.limit_in_bytes")]
    limits = [
        int(text) for text in texts if text.strip() != "max"
    ]  # version 1 has a number beyond any machine's instead
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def shares(threads: int | None, memory_mb: int | None) -> tuple[int, int]:
    """Number of workers, and the bytes that all of them together may take.

    By default one worker per CPU and what they are reckoned to take, but at most half of the machine's memory. Fewer
    workers than asked for where the memory does not suffice; UsageError where it does not suffice for one.
    """
    wanted = threads or cpus()
    usual = min(OWNER_BYTES + wanted * WORKER_BYTES, memory_bytes() // 2)
    workers = (usual if memory_mb is None else memory_mb << 20) - OWNER_BYTES
    if memory_mb is not None and workers < IDLE_BYTES:
        raise UsageError(f"{memory_mb} MB are too few for one worker: at least {(OWNER_BYTES + IDLE_BYTES) >> 20}")
    return max(1, min(wanted, workers // WORKER_BYTES)), workers


def environment_of_workers() -> dict[str, str]:
    """The environment in which another Python finds the modules that this one finds.

    A frozen program keeps its modules to itself, and the folder of its libraries, to which PyInstaller has led all
    processes that it starts: neither fits a Python of another version.
    """
    found = dict(os.environ)
    if not getattr(sys, "frozen", False):
        return found | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    folders = found.pop("LD_LIBRARY_PATH", "").split(os.pathsep)
    if others := [folder for folder in folders if folder and folder != getattr(sys, "_MEIPASS", None)]:
        found["LD_LIBRARY_PATH"] = os.pathsep.join(others)
    return found


def _limits(controller: str, *names: str) -> Iterator[str]:
    """The files `names` of this process's control group and of each group above it, their texts joined by a space.

    Version 1 has a hierarchy for each controller; "" is that of version 2, which holds all.
    """
    root = _CGROUPS / controller
    own = root / _own_group(controller).strip("/")
    for group in (own, *own.parents):
        if group.is_relative_to(root) and all((group / name).is_file() for name in names):
            yield " ".join((group / name).read_text().strip() for name in names)


def _own_group(controller: str) -> str:
    """The group's path, from lines like `4:cpu,cpuacct:/a` and, for version 2, `0::/a` (cgroups(7))."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "/"
    groups = [line.split(":", 2) for line in lines]
    return next((path for _, names, path in groups if controller in names.split(",")), "/")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
