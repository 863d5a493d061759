"""Limits of the machine and of the control group a process runs in."""

import os
from pathlib import Path

import pytest

from bmd_edge.system import machine


def test_limits_of_the_machine_and_of_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"cpu.max": "150000 100000", "memory.max": "max"}, {"cpu.max": "max 100000", "memory.max": "1000000"}
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for folder, limits in zip((inner, inner.parent), groups, strict=True):
        for name, text in limits.items():
            (folder / name).write_text(text + "\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_own_group", lambda: "/a/b")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    assert machine.cpus() == 1
    assert machine.memory_bytes() == 1_000_000
    (inner / "cpu.max").write_text("max 100000\n")
    assert machine.cpus() == 16
    assert 10 << 20 < machine.resident_bytes() < 10 << 30
