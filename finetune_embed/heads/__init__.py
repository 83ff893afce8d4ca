"""Ready heads: small modules over a table, `model(ids, lengths) -> logits`."""

from .bag import BagOfEmbeddings
from .cnn import KimCNN
from .lexicon_loss import LexiconLoss
from .pair import PairOfBags
from .plain import is_plain
from .pooled_cnn import PooledCNN
from .registry import HEADS, build_head, takes_pairs
from .taggers import BiLSTMTagger, CNNTagger

__all__ = [
    "HEADS",
    "BagOfEmbeddings",
    "BiLSTMTagger",
    "CNNTagger",
    "KimCNN",
    "LexiconLoss",
    "PairOfBags",
    "PooledCNN",
    "build_head",
    "is_plain",
    "takes_pairs",
]
