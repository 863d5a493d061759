"""AMX is used where a step with it survives, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.run import machine


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")
    monkeypatch.setattr(machine, "ISA_CHOSEN", False)
    monkeypatch.setattr(machine.torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    machine.allow_amx.cache_clear()
    yield
    machine.allow_amx.cache_clear()


def test_where_a_step_survives_it_is_allowed(monkeypatch):
    monkeypatch.setattr(machine, "_STEP", f"import os, sys\nsys.exit(os.environ[{machine.ISA!r}] != 'AVX512_CORE_AMX')")
    assert machine.allow_amx()
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_AMX"


def test_where_a_step_kills_its_process_it_is_not(monkeypatch):
    monkeypatch.setattr(machine, "_STEP", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)")
    assert not machine.allow_amx()
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_FP16"


def test_the_step_itself_is_one_that_torch_takes():
    """Without AMX, for a machine may be one of those where it kills."""
    subprocess.run([sys.executable, "-c", machine._STEP], env={**os.environ, machine.ISA: "AVX2"}, check=True)


def test_a_machine_without_it_and_a_user_who_chose_are_not_asked(monkeypatch):
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: pytest.fail("tried"))
    monkeypatch.setattr(machine, "ISA_CHOSEN", True)
    assert not machine.allow_amx()
    machine.allow_amx.cache_clear()
    monkeypatch.setattr(machine, "ISA_CHOSEN", False)
    monkeypatch.setattr(machine.torch.cpu, "get_capabilities", dict)
    assert not machine.allow_amx()


@pytest.mark.parametrize("given", [None, "AVX2"])
def test_what_the_user_chose_stays(given: str | None):
    env = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    env |= {"ONEDNN_MAX_CPU_ISA": given} if given else {}
    code = "import trainer, os; print(trainer.ISA_CHOSEN, os.environ['ONEDNN_MAX_CPU_ISA'])"
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(given is not None), given or "AVX512_CORE_FP16"]
