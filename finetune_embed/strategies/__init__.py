"""Small classes that say which part of a model trains, when, and how fast. They know torch only."""

from .base import Clock, Strategy
from .checks import check_moved, check_optimizer
from .composition import STRATEGIES, Composition
from .freezing import Freeze, FullTune, HeadFirst, UnfreezeAfter, UnfreezeOnPlateau
from .gradual_unfreezing import ChainThaw, GradualUnfreeze
from .layout import EMBEDDING, model_layout
from .learning_rates import DiscriminativeLR, RampUp
from .regularizers import L2SP, DeltaShrink, MaxNorm, TrustRegion
from .row_rules import RowRule
from .row_selection import FrequencyLR, LockRows, TrainRows

__all__ = [
    "EMBEDDING",
    "L2SP",
    "STRATEGIES",
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
    "check_moved",
    "check_optimizer",
    "model_layout",
]
