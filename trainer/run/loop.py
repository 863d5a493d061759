"""The one training loop; a recipe is a task given to it.

Nothing random outlives a step: each batch is drawn from a generator seeded by (seed, epoch, step), so a killed run
resumes at its last finished epoch and ends with the same numbers.
"""

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_bytes
from trainer.run.curves import plot_curves
from trainer.run.machine import arithmetic, keep_freed_memory
from trainer.run.run_folder import START, open_run, read_metrics, write_tensors
from trainer.run.settings import Config, LoopConfig
from trainer.run.task import Task

Progress = Callable[[dict[str, float], float], None]
"""Called after each epoch with its metrics and the seconds that remain; with `init` first with those of the start."""


def train(task: Task, config: Config, run: Path, progress: Progress | None = None) -> dict[str, float]:
    """Train until `config.epochs`, or take up a run where it was killed.

    Args:
        task: what to train; its network already has its initial weights.
        config: settings; those of a run folder cannot change.
        run: run folder, made if missing.
        progress: see `Progress`.

    Returns:
        the metrics of the epoch that is kept; with `init` those of the start, whose epoch is `START`, where none was
        better.

    Raises:
        UsageError: the run folder belongs to other settings or lacks metrics, or a loss is not finite.
    """
    open_run(task, config, run)
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    trainee = _Trainee(task, config)
    done = trainee.load(run)
    lines = _lines_of(run, done)
    if done == 0 and config.init:
        lines = [trainee.start(run)]
        if progress:
            progress(lines[0], math.nan)
    replace_bytes(run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
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
    judged = [line for line in lines if task.score in line]
    return judged[-1] if config.keep == "last" else max(judged, key=lambda line: line[task.score])


def _lines_of(run: Path, done: int) -> list[dict[str, float]]:
    """The metrics of the epochs that the state counts, all of them: patience and the best epoch are judged by them."""
    lines = [line for line in read_metrics(run) if line["epoch"] < done]
    epochs = [line["epoch"] for line in lines if line["epoch"] != START]
    if epochs != list(range(done)):
        raise UsageError(
            f"the state of {run.name} counts {done} epochs, metrics.jsonl holds {len(epochs)} of them: put it back, or "
            "remove the folder and train again"
        )
    return lines


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

    def start(self, run: Path) -> dict[str, float]:
        """Validate the network that the training goes on from: the best one, until an epoch is better."""
        began = time.monotonic()
        line = {"epoch": START, **self._validate(), "seconds": round(time.monotonic() - began, 1)}
        self._keep_best(run, line)
        return line

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
        """Save the checkpoint if this epoch is the one to keep so far, then the state."""
        self._keep_best(run, line)
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        tensors |= {f"task.{name}": value for name, value in self.task.state().items()}
        write_tensors(run / "state.safetensors", tensors, {"epoch": str(epoch), "best": repr(self.best)})

    def _keep_best(self, run: Path, line: dict[str, float]) -> None:
        score = line.get(self.task.score, -math.inf)
        if score > self.best or (self.config.keep == "last" and self.task.score in line):
            self.best = score
            write_tensors(run / "checkpoint.safetensors", self.averaged, {"epoch": f"{line['epoch']:g}"})

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
