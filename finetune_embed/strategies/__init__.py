"""Small classes that define which part of a model trains, when, and how fast."""

from .base import STRATEGIES, Anchored, Composition, FullTune, Strategy, parts_of
from .checks import check_moved, check_optimizer
from .clock import Clock
from .freezing import Freeze, HeadFirst, UnfreezeAfter, UnfreezeOnPlateau
from .gradual_unfreezing import ChainThaw, GradualUnfreeze
from .layout import EMBEDDING, model_layout
from .learning_rates import DiscriminativeLR, RampUp
from .regularizers import L2SP, DeltaShrink, MaxNorm, TrustRegion
from .row_rules import RowRule
from .row_selection import (
    FrequencyLR,
    LockRows,
    TrainRows,
    lexicon_of,
    with_absolute_paths,
)
from .words import Words

__all__ = [
    "EMBEDDING",
    "L2SP",
    "STRATEGIES",
    "Anchored",
    "ChainThaw",
    "Clock",
    "Composition",
    "DeltaShrink",
    "DiscriminativeLR",
    "Freeze",
    "FrequencyLR",
    "FullTune",
    "GradualUnfreeze",
    "HeadFirst",
    "LockRows",
    "MaxNorm",
    "RampUp",
    "RowRule",
    "Strategy",
    "TrainRows",
    "TrustRegion",
    "UnfreezeAfter",
    "UnfreezeOnPlateau",
    "Words",
    "check_moved",
    "check_optimizer",
    "lexicon_of",
    "model_layout",
    "parts_of",
    "with_absolute_paths",
]
