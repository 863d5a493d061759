"""What this process may use of the machine: CPUs and memory, within the limits of its control group."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def cpus() -> int:
    """CPUs this process may use: its affinity, cut by the quotas `cpu.max` of its control group and those above."""
    allowed = len(os.sched_getaffinity(0))
    for text in _limits("cpu.max"):
        quota, period = text.split()[:2]
        if quota != "max":
            allowed = min(allowed, max(1, int(quota) // int(period)))
    return allowed


def memory_bytes() -> int:
    """Memory this process may use: that of the machine, cut by `memory.max` of its control group and those above."""
    limits = [int(text) for text in _limits("memory.max") if text.strip() != "max"]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def _limits(name: str) -> Iterator[str]:
    """The file `name` of this process's control group (version 2) and of each group above it."""
    own = _CGROUPS / _own_group().strip("/")
    for group in (own, *own.parents):
        if group.is_relative_to(_CGROUPS) and (group / name).is_file():
            yield (group / name).read_text()


def _own_group() -> str:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "/"
    return next((line[3:] for line in lines if line.startswith("0::")), "/")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
