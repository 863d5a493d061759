"""The semi-supervised methods by the name that the settings give them."""

from trainer.methods.alignment import Coral, DareGram, Statistics, Subspace
from trainer.methods.consistency import MeanTeacher, PiModel, TemporalEnsembling
from trainer.methods.rankup import RankUp
from trainer.methods.self_training import SelfTraining
from trainer.methods.semi import SemiTask

METHODS: dict[str, type[SemiTask]] = {
    "pi_model": PiModel,
    "temporal_ensembling": TemporalEnsembling,
    "mean_teacher": MeanTeacher,
    "self_training": SelfTraining,
    "rankup": RankUp,
    "statistics": Statistics,
    "coral": Coral,
    "dare_gram": DareGram,
    "subspace": Subspace,
}
