"""Limits of the machine and of the control group a process runs in."""

import os
import platform
import sys
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.system import machine
from bmd_edge.system.machine import IDLE_BYTES, WORKER_BYTES, shares


def test_limits_of_the_machine_and_of_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"cpu.max": "150000 100000", "memory.max": "max"}, {"cpu.max": "max 100000", "memory.max": "1000000"}
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for folder, limits in zip((inner, inner.parent), groups, strict=True):
        for name, text in limits.items():
            (folder / name).write_text(text + "\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_own_group", lambda _controller: "/a/b")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    assert machine.cpus() == 1
    assert machine.memory_bytes() == 1_000_000
    (inner / "cpu.max").write_text("max 100000\n")
    assert machine.cpus() == 16
    assert 10 << 20 < machine.resident_bytes() < 10 << 30


@pytest.mark.parametrize("own", ["/a/b", "/not/mounted/here"])
def test_limits_of_control_groups_of_version_1(own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the path may be the host's: what is mounted is the container's own group."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_own_group", lambda _controller: own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    for name, text in (
        ("cpu/a/b/cpu.cfs_quota_us", -1), ("cpu/a/b/cpu.cfs_period_us", 100_000),
        ("cpu/cpu.cfs_quota_us", 250_000), ("cpu/cpu.cfs_period_us", 100_000),
        ("memory/a/b/memory.limit_in_bytes", 9223372036854771712), ("memory/memory.limit_in_bytes", 2_000_000),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert (machine.cpus(), machine.memory_bytes()) == (2, 2_000_000)
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert machine.cpus() == 16


def test_the_own_group_is_that_of_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "5:memory:/m\n4:cpu,cpuacct:/c:d\n1:name=systemd:/s\n0::/two\n"
    monkeypatch.setattr(Path, "read_text", lambda _: lines)
    assert [machine._own_group(name) for name in ("", "cpu", "memory", "pids")] == ["/two", "/c:d", "/m", "/"]


@pytest.mark.parametrize(
    ("facts", "name"), [("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t: avx\n", "A CPU @ 2 GHz"), ("", None)]
)
def test_a_cpu_has_the_name_that_the_system_gives_it(
    facts: str, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux on ARM gives none: there the architecture stands for it."""
    monkeypatch.setattr(Path, "read_text", lambda _: facts)
    assert machine.cpu_name.__wrapped__() == (name or platform.machine())


def test_a_worker_finds_the_modules_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/modules"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/libraries")
    found = machine.environment_of_workers()
    assert found == {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}/modules"}


@pytest.mark.parametrize(
    ("before", "after"), [("/frozen", None), ("/frozen:/theirs", "/theirs"), ("/theirs", "/theirs")]
)
def test_a_frozen_program_keeps_its_modules_and_libraries(
    before: str, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", "/frozen", raising=False)
    monkeypatch.setattr(sys, "path", ["/frozen/base_library.zip"])
    monkeypatch.setenv("PYTHONPATH", "/given")
    monkeypatch.setenv("LD_LIBRARY_PATH", before)
    found = machine.environment_of_workers()
    assert (found["PYTHONPATH"], found.get("LD_LIBRARY_PATH")) == ("/given", after)


def test_memory_sets_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bmd_edge.system.machine.cpus", lambda: 8)
    monkeypatch.setattr("bmd_edge.system.machine.memory_bytes", lambda: 64 << 30)
    assert shares(None, None) == (8, 8 * WORKER_BYTES)
    assert shares(2, None) == (2, 2 * WORKER_BYTES)
    assert shares(None, 800)[0] == 2
    assert shares(None, 250) == (1, IDLE_BYTES)
    with pytest.raises(UsageError, match="at least 250"):
        shares(None, 249)
    monkeypatch.setattr("bmd_edge.system.machine.memory_bytes", lambda: 2 << 30)
    assert shares(None, None)[0] == 2
