from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.small_trainings import SMALL_SEMI, task_for
from trainer.methods.consistency import MeanTeacher, TemporalEnsembling
from trainer.methods.semi import Shown


def test_teacher_is_the_averaged_network(half_labelled: Path) -> None:
    task = task_for(SMALL_SEMI["mean_teacher"], half_labelled)
    assert isinstance(task, MeanTeacher)
    averaged = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.watch(averaged)
    averaged["bmd_head.bias"].fill_(7.0)
    assert (task.teacher.bmd_head.bias == 7).all()
    assert not any(value.requires_grad for value in task.teacher.parameters())


def test_ensemble_moves_toward_new_estimates(half_labelled: Path) -> None:
    task = task_for(SMALL_SEMI["temporal_ensembling"], half_labelled)
    assert isinstance(task, TemporalEnsembling)
    before, chosen = task.ensemble.clone(), np.array([2, 5])
    bmd = task.network.label_mean + task.network.label_sd * torch.full((2, 2), 4.0)
    shown = Shown((bmd, bmd, bmd), bmd, [(bmd, bmd, bmd)], chosen, np.random.default_rng(0))
    loss, _ = task.term(shown)
    assert float(loss) == pytest.approx(float((4 - before[chosen]).square().mean()), rel=1e-4)
    assert task.ensemble[chosen] == pytest.approx(0.6 * before[chosen] + 0.4 * 4, rel=1e-4)
    assert torch.equal(task.ensemble[[0, 1, 3]], before[[0, 1, 3]])
