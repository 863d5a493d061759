"""The one training loop; a recipe is a task given to it.

Nothing random outlives a step: each batch is drawn from a generator seeded by (seed, epoch, step), so a killed run
resumes at its last finished epoch and ends with the same numbers. Metrics, checkpoint and state are synced in this
order, so that a power cut leaves no state that counts what it took; state and checkpoint are safetensors, written
beside their place and renamed.
"""

import ctypes
import json
import logging
import math
import os
import platform
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_file, sync_folder
from trainer.config import Config, LoopConfig, to_toml

logger = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of parameters in glibc's malloc.h."""

Progress = Callable[[dict[str, float], float], None]
"""Called after each epoch with its metrics and the seconds that remain."""


class Task(ABC):
    """What is trained. A semi-supervised method is a task that holds its teacher or its pseudo labels."""

    network_name: str
    network_kwargs: dict[str, Any]
    steps: int
    split: dict[str, list[str]]
    score: str
    """Name of the validation metric that chooses the best checkpoint; larger is better."""

    network: nn.Module
    """With its initial weights; trained in place."""

    @abstractmethod
    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch drawn with `rng`, and numbers to log; the network is in train mode."""

    @abstractmethod
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Metrics on the validation split; `network` is in eval mode and has the averaged weights."""

    def watch(self, averaged: dict[str, Tensor]) -> None:  # noqa: B027 - most tasks need no teacher
        """Given once: the averaged weights, which the loop changes in place after each step."""

    def state(self) -> dict[str, Tensor]:
        """What the task itself has to remember to be taken up after a kill."""
        return {}

    def take_up(self, state: dict[str, Tensor]) -> None:  # noqa: B027 - most tasks have no state
        """Put back what `state` gave."""


def train(task: Task, config: Config, run: Path, progress: Progress | None = None) -> dict[str, float]:
    """Train until `config.epochs`, or take up a run where it was killed.

    Args:
        task: what to train; its network already has its initial weights.
        config: settings; those of a run folder cannot change.
        run: run folder, made if missing.
        progress: see `Progress`.

    Returns:
        the metrics of the best epoch.

    Raises:
        UsageError: the run folder belongs to other settings, or a loss is not finite.
    """
    _open_run(task, config, run)
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    trainee = _Trainee(task, config)
    done = trainee.load(run)
    lines = _read_metrics(run)[:done]
    _write_text(run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    began = time.monotonic()
    for epoch in range(done, config.epochs):
        if _weary(lines, task.score, config.patience):
            break
        line = trainee.epoch(epoch)
        with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())  # before the state that counts this line
        lines.append(line)
        trainee.save(run, epoch, line)
        if progress:
            progress(line, (time.monotonic() - began) / (epoch + 1 - done) * (config.epochs - epoch - 1))
    plot_curves(lines, run / "curves.png")
    return max((line for line in lines if task.score in line), key=lambda line: line[task.score])


def arithmetic(config: LoopConfig) -> str:
    """What a training computes in: "bfloat16" if the settings ask for it and the machine has instructions for it, else
    "float32". Emulated, bfloat16 took six to ten times as long as float32 (an AMD EPYC with AVX2, torch 2.13).
    """
    if not config.bf16:
        return "float32"
    if config.device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next one, where it can (glibc); the numbers stay the same.

    Else every step asks the system for the same pages again, which zeroes each: a tenth of a step's time and more.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # its largest value: bigger blocks are rare
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


class _Trainee:
    """Network, optimizer and averaged weights: everything that is saved and loaded together."""

    def __init__(self, task: Task, config: LoopConfig) -> None:
        self.task, self.config = task, config
        self.device = torch.device(config.device)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.network = task.network.to(self.device, memory_format=layout)  # type: ignore[call-overload]  # torch's own types leave it out
        decayed = [value for value in self.network.parameters() if value.ndim > 1]
        plain = [value for value in self.network.parameters() if value.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.lr,
            fused=True,
        )
        self.averaged = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        task.watch(self.averaged)
        self.best = -math.inf

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch and validate; returns its line of metrics."""
        began = time.monotonic()
        torch.manual_seed(np.random.SeedSequence([self.config.seed, epoch]).generate_state(1)[0].item())
        sums: dict[str, float] = {}
        for step in range(self.task.steps):
            for name, value in self._step(epoch, step).items():
                sums[name] = sums.get(name, 0.0) + value / self.task.steps
        line: dict[str, float] = {"epoch": epoch, "lr": self._rate(epoch, self.task.steps - 1)}
        line |= {f"train_{name}": value for name, value in sums.items()}
        if (epoch + 1) % self.config.validate_every == 0 or epoch + 1 == self.config.epochs:
            line |= self._validate()
        return line | {"seconds": round(time.monotonic() - began, 1)}

    def _step(self, epoch: int, step: int) -> dict[str, float]:
        rate = self._rate(epoch, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        rng = np.random.default_rng([self.config.seed, epoch, step])
        with self._autocast():
            loss, logs = self.task.loss(rng, epoch, step)
        if not torch.isfinite(loss):
            raise UsageError(f"the loss is not finite in epoch {epoch}, step {step}: lower lr or switch bf16 off")
        torch.autograd.backward(loss)
        if self.config.clip_norm > 0:
            logs["gradient"] = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._average(epoch * self.task.steps + step)
        return {"loss": float(loss.detach()), **logs}

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=arithmetic(self.config) == "bfloat16")

    def _rate(self, epoch: int, step: int) -> float:
        total = self.config.epochs * self.task.steps
        return self.config.lr * rate_factor(self.config, (epoch * self.task.steps + step + 0.5) / total)

    def _average(self, steps_done: int) -> None:
        # Early on the average follows fast, so it never holds on to the initial weights.
        decay = min(self.config.ema, (1 + steps_done) / (10 + steps_done)) if self.config.ema > 0 else 0.0
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - decay)
            else:
                self.averaged[name].copy_(value)

    def _validate(self) -> dict[str, float]:
        """Validate the averaged weights; the network gets its own back."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged)
        self.network.eval()
        with torch.no_grad():
            metrics = self.task.validate(self.network)
        self.network.load_state_dict(own)
        return metrics

    def save(self, run: Path, epoch: int, line: dict[str, float]) -> None:
        """Save the checkpoint if this epoch is the best so far, then the state."""
        score = line.get(self.task.score, -math.inf)
        if score > self.best:
            self.best = score
            _write_tensors(run / "checkpoint.safetensors", self.averaged, {"epoch": str(epoch)})
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        tensors |= {f"task.{name}": value for name, value in self.task.state().items()}
        _write_tensors(run / "state.safetensors", tensors, {"epoch": str(epoch), "best": repr(self.best)})

    def load(self, run: Path) -> int:
        """Take up the saved state; returns the number of epochs done, 0 without one."""
        path = run / "state.safetensors"
        if not path.is_file():
            return 0
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "averaged": {}, "optimizer": {}, "task": {}}
        with safe_open(path, "pt") as file:
            facts = file.metadata()
            for key in file.keys():  # noqa: SIM118 - not a dict
                group, name = key.split(".", 1)
                groups[group][name] = file.get_tensor(key)
        self.network.load_state_dict(groups["network"])
        for name, value in groups["averaged"].items():
            self.averaged[name].copy_(value)
        # Moments must lie in memory as their weights do (channels last): the fused optimizer walks both side by side.
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        for name, value in groups["optimizer"].items():
            index, moment = name.split(".", 1)
            weight = weights[int(index)]
            like = weight if value.shape == weight.shape else value
            own = torch.empty_like(like, device=weight.device)
            self.optimizer.state[weight][moment] = own.copy_(value).detach()
        self.task.take_up(groups["task"])
        self.best = float(facts["best"])
        return int(facts["epoch"]) + 1


def _weary(lines: list[dict[str, float]], score: str, patience: int) -> bool:
    """Whether the last `patience` validations brought no better score; never when that is 0."""
    scores = [line[score] for line in lines if score in line]
    return 0 < patience < len(scores) - scores.index(max(scores)) if scores else False


def rate_factor(config: LoopConfig, done: float) -> float:
    """Learning rate over its highest value when the share `done` of all steps lies behind."""
    if config.schedule == "one_cycle" and done < config.warmup:
        return 0.04 + 0.96 * done / config.warmup
    if config.schedule == "one_cycle":
        return 0.5 + 0.5 * math.cos(math.pi * (done - config.warmup) / (1 - config.warmup))
    if config.schedule == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * done)
    if config.schedule == "step":
        return 1.0 if done < 0.5 else 0.1
    return 1.0


def versions(config: LoopConfig) -> dict[str, str]:
    """What a run was made with."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "arithmetic": arithmetic(config)}
    for package in ("bmd-edge", "torch", "numpy", "safetensors"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def plot_curves(lines: list[dict[str, float]], path: Path) -> None:
    """Draw every logged number over the epochs, one small panel each, to a PNG."""
    from matplotlib.figure import Figure

    names = [name for name in dict.fromkeys(key for line in lines for key in line) if name not in ("epoch", "seconds")]
    columns = 4
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    for index, name in enumerate(names):
        panel = figure.add_subplot(rows, columns, index + 1)
        points = [(line["epoch"], line[name]) for line in lines if name in line]
        panel.plot(*zip(*points, strict=True), lw=1)
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=7)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format="png", dpi=100)
    _put_in_place(part, path)


def check_settings(config: Config, run: Path) -> None:
    """UsageError if the run folder holds a run with other settings."""
    path = run / "config.toml"
    if path.is_file() and path.read_text(encoding="utf-8") != to_toml(config):
        raise UsageError(f"{run.name} holds a run with other settings; choose another folder or remove it")


def _open_run(task: Task, config: Config, run: Path) -> None:
    """Make the run folder, or check that it is the one of these settings."""
    run.mkdir(parents=True, exist_ok=True)
    check_settings(config, run)
    split, split_path = json.dumps(task.split, indent=1), run / "split.json"
    if split_path.is_file() and split_path.read_text(encoding="utf-8") != split:
        raise UsageError(f"{run.name} holds a run on other subjects; choose another folder or remove it")
    facts, facts_path = (
        json.dumps({"network": task.network_name, "kwargs": task.network_kwargs}, indent=1),
        run / "config.json",
    )
    if facts_path.is_file() and facts_path.read_text(encoding="utf-8") != facts:  # it holds the labels' mean and SD
        raise UsageError(f"{run.name} holds a run on other labels; choose another folder or remove it")
    _write_text(split_path, split)
    if not (run / "versions.json").is_file():  # of the start; a finished run that is opened again stays as it was made
        _write_text(run / "versions.json", json.dumps(versions(config), indent=1))
    _write_text(facts_path, facts)
    _write_text(run / "config.toml", to_toml(config))


def _read_metrics(run: Path) -> list[dict[str, float]]:
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


def _write_text(path: Path, text: str) -> None:
    with replace_file(path) as file:
        file.write(text)


def _write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    part = path.with_name(f".{path.name}.part")
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, part, facts)
    _put_in_place(part, path)


def _put_in_place(part: Path, path: Path) -> None:
    """Give a written file its name; both survive a power cut."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)
