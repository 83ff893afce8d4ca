"""Small classes that say which part of a model trains, when, and how fast. They know torch only."""

from .base import Clock, Strategy
from .checks import check_moved, check_optimizer
from .composition import STRATEGIES, Composition
from .gradual import ChainThaw, GradualUnfreeze
from .how_far import L2SP, DeltaShrink, MaxNorm, TrustRegion
from .layout import EMBEDDING, model_layout
from .rates import DiscriminativeLR, RampUp
from .rules import RowRule
from .when import Freeze, FullTune, HeadFirst, UnfreezeAfter, UnfreezeOnPlateau
from .which import FrequencyLR, LockRows, TrainRows

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
