"""The settings of a training: one frozen dataclass per network.

Each field has its bound in its annotation and is followed by its explanation; `--print-config` prints both above it.
"""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Annotated

from bmd_edge.bundle.manifest import KINDS
from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.errors import UsageError, nearest
from trainer.run.bounds import Above, AtLeast, Between, Bound, Folder, OneOf

_LEARNED_FROM = ("train", "val", "test")
ROI_ROOM_MM = 10.4
"""How far a stored region (166.4 mm) reaches beyond the network's (145.6 mm) on each side."""

ADDED = frozenset(
    (
        "other_films", "reread_share", "difference_weight", "view_weight", "view_embedding_weight", "triplet_across",
        "size_px", "fine", "low_percentile", "high_percentile", "disc_share", "init", "keep", "statistics",
        "labelled_weight", "triplet_both", "directions", "others",
    )
)  # fmt: skip
"""Settings that finished runs do not know: at their default they are not written, so that the text of those runs, by
which they are named and resumed, stays.
"""

SEMI_METHODS = (
    "pi_model", "temporal_ensembling", "mean_teacher", "self_training", "rankup", "statistics", "coral", "dare_gram",
    "subspace",
)  # fmt: skip
"""What may be learned from unlabelled films; `trainer.methods.registry` has the task of each."""

MEMBER_SEEDS = 1000
"""Seeds of a committee's members are this far apart."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What the loop needs to know, whatever it trains."""

    seed: Annotated[int, AtLeast(0)] = 0
    """Everything random follows from it."""
    epochs: Annotated[int, Above(0)] = 30
    """Rounds; each ends with a saved state, so it is the unit of resuming."""
    batch: Annotated[int, Above(0)] = 16
    """Images per step."""
    lr: Annotated[float, Above(0)] = 1e-3
    """Highest learning rate of Adam."""
    schedule: Annotated[str, OneOf("one_cycle", "cosine", "step", "constant")] = "one_cycle"
    """Learning rate over time: one_cycle (rise, then cosine to 0), cosine, step (x 0.1 at half time), constant."""
    warmup: Annotated[float, Between(0, 1)] = 0.1
    """Share of the steps in which one_cycle rises."""
    weight_decay: Annotated[float, AtLeast(0)] = 1e-2
    """Decoupled weight decay (AdamW); not for norms and biases."""
    clip_norm: Annotated[float, AtLeast(0)] = 5.0
    """Gradients are scaled down to this norm; 0 switches it off."""
    ema: Annotated[float, Between(0, 1)] = 0.998
    """Decay per step of the averaged weights that are validated and saved; 0 uses the last weights."""
    bf16: bool = True
    """bfloat16 autocast: about twice as fast on a CPU with AVX-512 BF16; one without such instructions uses float32."""
    channels_last: bool = True
    """Memory layout of images: faster on CPUs."""
    device: Annotated[str, OneOf("cpu", "cuda")] = "cpu"
    """Where the network is trained."""
    threads: Annotated[int, Above(0)] = 1
    """CPU threads; two trainings side by side with one each beat one with two."""
    steps: Annotated[int, AtLeast(0)] = 0
    """Steps per epoch; 0: as many as show each film once."""
    patience: Annotated[int, AtLeast(0)] = 0
    """Training stops after this many validations without a better one; 0 never stops early."""
    validate_every: Annotated[int, Above(0)] = 1
    """Epochs between validations; the last epoch is always validated."""
    train_splits: tuple[str, ...] = ("train",)
    """Splits of the film table that are learned from."""
    val_splits: tuple[str, ...] = ("val",)
    """Splits that choose the best checkpoint."""
    init: Annotated[str, Folder()] = ""
    """Run folder of a network of the same shape whose best weights the training starts from; empty: from none."""
    keep: Annotated[str, OneOf("best", "last")] = "best"
    """The checkpoint: the best on val, or the last, where val shows other films than those that are adapted to."""


@dataclass(frozen=True, kw_only=True)
class BmdConfig(LoopConfig):
    """Settings of the BMD network learned from labelled films; the defaults are those of the paper's table."""

    epochs: Annotated[int, Above(0)] = 120
    """Rounds; each ends with a saved state, so it is the unit of resuming."""
    lr: Annotated[float, Above(0)] = 2e-3
    """Highest learning rate of Adam."""
    weight_decay: Annotated[float, AtLeast(0)] = 0.3
    """Decoupled weight decay (AdamW); not for norms and biases."""
    validate_every: Annotated[int, Above(0)] = 5
    """Epochs between validations; the last epoch is always validated."""
    labels: Annotated[int, AtLeast(0)] = 0
    """Labelled hips that are learned from, the first ones of the table; 0 takes all."""
    reveal: bool = False
    """Phantom films of the split unlabelled are learned from with their true BMD: the upper bound of all methods."""
    network: Annotated[str, OneOf("resnet18", "vgg11_se", "effnet_lite0")] = "vgg11_se"
    """Backbone."""
    width: Annotated[float, Above(0, at_most=1)] = 0.25
    """Factor on the channels of resnet18 and vgg11_se."""
    pretrained: bool = True
    """effnet_lite0 starts from ImageNet weights."""
    triplet_weight: Annotated[float, AtLeast(0)] = 0.5
    """lambda: weight of the adaptive triplet loss (the paper's, as recollected); 0 switches it off."""
    triplet_alpha: Annotated[str, OneOf("sqrt", "abs", "one")] = "sqrt"
    """How the margin follows the labels; with one it does not: the plain triplet loss."""
    triplet_margin: Annotated[float, AtLeast(0)] = 0.5
    """m (the paper's, as recollected), in squared distance of embeddings for labels one SD apart."""
    triplet_norm: Annotated[str, OneOf("unit", "none")] = "unit"
    """Embedding in the triplet loss: scaled to length 1 (unit), or as it is (none)."""
    spread_weight: Annotated[float, AtLeast(0)] = 0.2
    """Weight of the predicted spread's term; it never disturbs the estimate."""
    shift_mm: Annotated[float, AtLeast(0)] = 5.0
    """Largest shift of the region's center, as a finder's landmarks would shift it."""
    scale: Annotated[float, AtLeast(0)] = 0.06
    """Largest relative error of the region's scale: magnification is often assumed."""
    rotation_deg: Annotated[float, AtLeast(0)] = 5.0
    """Largest rotation; beyond the stored region, which the corners of a turned one may reach, its edge goes on."""
    exact_share: Annotated[float, Between(0, 1)] = 0.3
    """Share of samples moved by whole pixels only, which keeps them as sharp as in use."""
    augment: Annotated[float, AtLeast(0)] = 1.0
    """Strength of changes of gray levels, texture and occlusions; 0 switches them off."""
    clean_share: Annotated[float, Between(0, 1)] = 0.3
    """Share of samples that keep the film's own gray levels, as in use."""
    other_films: Annotated[float, AtLeast(0)] = 0.0
    """Strength of what films of other units show: gray curves, cut-off windows, boosted detail, collimation, labels."""
    reread_share: Annotated[float, Between(0, 1)] = 0.0
    """Share of samples that are read between their pixels, up to as softly as a film decoded at reduced size."""
    difference_weight: Annotated[float, AtLeast(0)] = 0.0
    """Weight of the error in the difference of two hips of one film; the table says which in x_film."""
    view_weight: Annotated[float, AtLeast(0)] = 0.0
    """Weight of the agreement of the estimates for films of one view; the table says which in x_view."""
    view_embedding_weight: Annotated[float, AtLeast(0)] = 0.0
    """Weight of the agreement of their embeddings."""
    triplet_across: bool = False
    """In the triplet loss, what is near to an anchor lies on another film than it."""
    fine: bool = False
    """vgg11_se: a first convolution of 6 x 6 pixels at steps of two, for an input twice as fine at hardly more cost."""
    size_px: Annotated[int, Between(64, 224)] = BMD.size_px
    """Pixels a side of the network's input, which always shows the same square."""
    low_percentile: Annotated[float, Between(0, 50)] = BMD.low_percentile
    """Percentile of the gray levels that becomes 0."""
    high_percentile: Annotated[float, Between(50, 100)] = BMD.high_percentile
    """Percentile of the gray levels that becomes 1."""
    disc_share: Annotated[float, Between(0, 1)] = BMD.disc_share
    """The percentiles are those of a disc this share of the side wide, without constant areas; 0: the whole square."""

    @property
    def spec(self) -> InputSpec:
        """The network's input."""
        spacing_mm = BMD.spacing_mm if self.size_px == BMD.size_px else round(BMD.side_mm / self.size_px, 4)
        return InputSpec("bmd", self.size_px, spacing_mm, self.low_percentile, self.high_percentile, self.disc_share)

    @property
    def paired(self) -> bool:
        """Whether a batch is made of two films of the same hips each."""
        return self.difference_weight + self.view_weight + self.view_embedding_weight > 0


@dataclass(frozen=True, kw_only=True)
class SemiConfig(BmdConfig):
    """Settings of the BMD network learned from labelled and unlabelled films."""

    epochs: Annotated[int, Above(0)] = 15
    """Rounds after the supervised training; each ends with a saved state, so it is the unit of resuming."""
    steps: Annotated[int, AtLeast(0)] = 100
    """Steps per epoch."""
    lr: Annotated[float, Above(0)] = 3e-4
    """Highest learning rate of Adam; at that of the supervised training most methods lose more than they gain."""
    validate_every: Annotated[int, Above(0)] = 1
    """Epochs between validations; the last epoch is always validated."""
    augment: Annotated[float, AtLeast(0)] = 0.25
    """Strength of changes of gray levels, texture and occlusions: a fine-tuning at 1 unlearns more than it learns."""
    method: Annotated[str, OneOf(*SEMI_METHODS)] = "self_training"
    """What unlabelled films add."""
    pretrain_epochs: Annotated[int, AtLeast(0)] = 120
    """Epochs of the supervised training before, with default batch, steps, schedule, patience; 0: `init` is adapted."""
    pretrain_lr: Annotated[float, Above(0)] = 2e-3
    """Its highest learning rate."""
    pretrain_augment: Annotated[float, AtLeast(0)] = 1.0
    """Its strength of changes of gray levels, texture and occlusions."""
    unlabelled_batch: Annotated[int, Above(0)] = 16
    """Unlabelled films per step."""
    unlabelled_weight: Annotated[float, AtLeast(0)] = 1.0
    """Weight of the unlabelled term."""
    ramp: Annotated[float, Between(0, 1)] = 0.2
    """Share of the steps in which that weight rises."""
    ensemble_decay: Annotated[float, Between(0, 1)] = 0.6
    """temporal_ensembling: how much of a film's running mean stays when a new estimate comes."""
    agree_weight: Annotated[float, AtLeast(0)] = 1.0
    """self_training: weight of the agreement of the estimates for two views."""
    embedding_weight: Annotated[float, AtLeast(0)] = 0.1
    """self_training: weight of the agreement of the embeddings of two views; with both at 0 a film has one view."""
    committee: Annotated[int, Above(0)] = 1
    """self_training: supervised networks of as many seeds whose mean gives the pseudo BMDs; 1 is the paper's."""
    max_regenerations: Annotated[int, AtLeast(0)] = 5
    """self_training: how often the pseudo BMDs may be made anew."""
    others: tuple[str, ...] = ()
    """self_training that adapts the network of `init`: run folders of the committee's further networks."""
    triplet_both: Annotated[float, AtLeast(0)] = 0.0
    """self_training: weight of the triplet loss over labelled films and, by their pseudo BMDs, unlabelled ones."""
    statistics: Annotated[str, OneOf("both", "unlabelled")] = "both"
    """Films whose batch statistics count in use: all, or the unlabelled alone, taken before the first step."""
    labelled_weight: Annotated[float, AtLeast(0)] = 1.0
    """Weight of the labelled films' loss; at 0 none of them is shown."""
    directions: Annotated[int, Above(0)] = 32
    """subspace: principal directions of the labelled films' embeddings along which the unlabelled are aligned."""
    rank_weight: Annotated[float, AtLeast(0)] = 0.2
    """rankup: weight of the ranking losses."""
    rank_threshold: Annotated[float, Between(0, 1)] = 0.95
    """rankup: a pair counts when its order is at least this sure."""


@dataclass(frozen=True, kw_only=True)
class FinderConfig(LoopConfig):
    """Settings of the finder."""

    channels: tuple[int, ...] = (16, 16, 32, 64, 96)
    """Channels at stride 2, 4, 8, 16, 32; multiples of 16."""
    n_embedding: Annotated[int, Above(0)] = 64
    """Length of the embedding."""
    closeup_share: Annotated[float, Between(0, 1)] = 0.5
    """Share of close-ups; the rest are surveys."""
    nonsense_share: Annotated[float, Between(0, 1)] = 0.12
    """Share of samples that are no hip: upside down, sideways, shuffled, far too big or small, or no film at all."""
    photo_share: Annotated[float, Between(0, 1)] = 0.1
    """Share of the surveys framed as photographs and screenshots are: tilted, of any size, no dark around the film."""
    dark_share: Annotated[float, Between(0, 1)] = 0.05
    """Share of samples with dark bone; whether such a hip is intact counts for nothing."""
    sigma_cells: Annotated[float, Above(0)] = 1.5
    """SD of the target's Gaussians, in cells of 2 pixels."""
    presence_weight: Annotated[float, AtLeast(0)] = 1.0
    """Weight of the heat maps' level beside their place."""
    place_weight: Annotated[float, AtLeast(0)] = 0.1
    """Weight of the distance, in cells, from a landmark to the mean place of its map."""
    kind_weight: Annotated[float, AtLeast(0)] = 0.5
    """Weight of the class head."""
    kind_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Weight of each kind in the class head: intact, implant, fracture, wrong_view, immature, not_a_hip."""
    label_smoothing: Annotated[float, Between(0, 1)] = 0.05
    """Of the class head."""
    shift_mm: Annotated[float, AtLeast(0)] = 25.0
    """Largest shift of a close-up from the hip's center."""
    scale: tuple[float, float] = (0.8, 1.25)
    """Range of the scale error."""
    rotation_deg: Annotated[float, AtLeast(0)] = 20.0
    """Largest rotation."""
    shear: Annotated[float, Between(0, 1)] = 0.06
    """Largest shear, and largest change of either axis alone, relative; only of views that are rotated."""
    crop_share: Annotated[float, Between(0, 1)] = 0.5
    """Share of films cropped or collimated at random."""
    augment: Annotated[float, AtLeast(0)] = 1.0
    """Strength of the changes of gray levels, texture, occlusions and text; 0 switches them off."""


Config = BmdConfig | FinderConfig
TASKS: dict[str, type[Config]] = {"bmd": BmdConfig, "semi": SemiConfig, "finder": FinderConfig}


def task_name(config: Config) -> str:
    """The key of `TASKS` for these settings."""
    return next(name for name, kind in TASKS.items() if type(config) is kind)


def pretraining(config: SemiConfig, member: int = 0) -> BmdConfig:
    """The settings of the supervised training that a semi-supervised one starts from, or of another `member` of its
    committee.
    """
    shared = {field.name: getattr(config, field.name) for field in dataclasses.fields(BmdConfig)}
    own = ("batch", "steps", "patience", "validate_every", "schedule", "keep")
    plain = {name: getattr(BmdConfig(), name) for name in own}
    seed = config.seed + MEMBER_SEEDS * member
    first = {name: getattr(config, f"pretrain_{name}") for name in ("epochs", "lr", "augment")}
    return BmdConfig(**{**shared, **plain, **first, "seed": seed})


def bounds(kind: type[Config]) -> dict[str, Bound]:
    """What each setting with a bound may be."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


def check_values(config: Config, where: str) -> None:
    """Refuse values that would only fail after hours, or silently do nothing."""
    for key, bound in bounds(type(config)).items():
        if not bound.allows(getattr(config, key)):
            near = nearest(str(getattr(config, key)), bound.words) if isinstance(bound, OneOf) else ""
            raise UsageError(f"{where}: {key} must be {bound}{near}")
    _check_splits(config, where)
    if isinstance(config, BmdConfig):
        _check_bmd(config, where)
    else:
        _check_finder(config, where)


def _check_splits(config: Config, where: str) -> None:
    if twice := set(config.train_splits) & set(config.val_splits):
        raise UsageError(f"{where}: {twice.pop()} is in train_splits and val_splits; they must not share a split")
    for key in ("train_splits", "val_splits"):
        if not getattr(config, key) or not set(getattr(config, key)) <= set(_LEARNED_FROM):
            raise UsageError(f"{where}: {key} takes splits of {', '.join(_LEARNED_FROM)}; the others judge the result")


def _check_bmd(config: BmdConfig, where: str) -> None:
    if config.shift_mm + config.scale * BMD.side_mm / 2 > ROI_ROOM_MM:
        raise UsageError(
            f"{where}: shift_mm and scale together leave the stored region, which has {ROI_ROOM_MM:g} mm room"
        )
    if isinstance(config, SemiConfig):
        _check_semi(config, where)


def _check_semi(config: SemiConfig, where: str) -> None:
    if config.committee > 1 and config.method != "self_training":
        raise UsageError(f"{where}: only self_training asks a committee; {config.method} starts from one network")
    if config.committee > 1 and config.seed >= MEMBER_SEEDS:
        raise UsageError(f"{where}: with a committee, seed must be below {MEMBER_SEEDS}; its members have those above")
    if config.others and config.pretrain_epochs:
        raise UsageError(f"{where}: others are networks beside that of `init`; set pretrain_epochs = 0, or no others")


def _check_finder(config: FinderConfig, where: str) -> None:
    if len(config.scale) != 2 or len(config.channels) != 5:
        raise UsageError(f"{where}: scale takes 2 numbers and channels 5")
    if len(config.kind_weights) != len(KINDS) or min(config.kind_weights) < 0:
        raise UsageError(f"{where}: kind_weights takes {len(KINDS)} numbers, none below 0")
    if not 0 < config.scale[0] <= config.scale[1]:
        raise UsageError(f"{where}: scale must be a range above 0, the lower end first")
    if any(number <= 0 or number % 16 for number in config.channels):
        raise UsageError(f"{where}: channels must be multiples of 16")
