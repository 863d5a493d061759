"""The run folder: whose it is, and its files.

Metrics, checkpoint and state are synced in this order, so that a power cut leaves no state that counts what it took;
state and checkpoint are safetensors, written beside their place and renamed.
"""

import hashlib
import json
import logging
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_bytes
from trainer.run.machine import arithmetic
from trainer.run.settings import Config, LoopConfig
from trainer.run.settings_file import to_toml
from trainer.run.task import Task

logger = logging.getLogger(__name__)

START = -1
"""Epoch of the network that a training with `init` goes on from."""


def versions(config: LoopConfig) -> dict[str, str]:
    """What a run was made with, and of `init` the name of the folder and the hash of the weights."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "arithmetic": arithmetic(config)}
    for package in ("bmd-edge", "torch", "numpy", "safetensors"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    if config.init:
        weights = (Path(config.init) / "checkpoint.safetensors").read_bytes()
        found |= {"init": Path(config.init).name, "init_checkpoint_sha256": hashlib.sha256(weights).hexdigest()}
    return found


def check_settings(config: Config, run: Path) -> None:
    """UsageError if the run folder holds a run with other settings."""
    path = run / "config.toml"
    if path.is_file() and path.read_text(encoding="utf-8") != to_toml(config):
        raise UsageError(f"{run.name} holds a run with other settings; choose another folder or remove it")


def open_run(task: Task, config: Config, run: Path) -> None:
    """Make the run folder, or check that it is the one of these settings."""
    run.mkdir(parents=True, exist_ok=True)
    check_settings(config, run)
    split, split_path = json.dumps(task.split, indent=1), run / "split.json"
    if split_path.is_file() and split_path.read_text(encoding="utf-8") != split:
        raise UsageError(f"{run.name} holds a run on other subjects; choose another folder or remove it")
    network: dict[str, Any] = {"network": task.network_name, "kwargs": task.network_kwargs}
    if task.spec is not None:
        network["input"] = task.spec.facts()
    facts, facts_path = json.dumps(network, indent=1), run / "config.json"
    if facts_path.is_file() and facts_path.read_text(encoding="utf-8") != facts:  # it holds the labels' mean and SD
        raise UsageError(f"{run.name} holds a run on other labels; choose another folder or remove it")
    replace_bytes(split_path, split.encode())
    if not (run / "versions.json").is_file():  # of the start; a finished run that is opened again stays as it was made
        replace_bytes(run / "versions.json", json.dumps(versions(config), indent=1).encode())
    replace_bytes(facts_path, facts.encode())
    replace_bytes(run / "config.toml", to_toml(config).encode())


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl`, one an epoch after that of the `START`, up to one that a kill left half-written."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            logger.info("metrics.jsonl ends in a half-written line; its epoch is run again")
            break
    return lines


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    """Write tensors and their facts as safetensors in place of `path`."""
    replace_bytes(path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, facts))
