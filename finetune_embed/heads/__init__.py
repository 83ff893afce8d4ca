"""Small modules over an embedding: `model(ids, lengths) -> logits`."""

from .classifiers import BagOfEmbeddings, KimCNN
from .lexicon_loss import LexiconLoss
from .registry import HEADS, build_head
from .taggers import BiLSTMTagger, CNNTagger

__all__ = [
    "HEADS",
    "BagOfEmbeddings",
    "BiLSTMTagger",
    "CNNTagger",
    "KimCNN",
    "LexiconLoss",
    "build_head",
]
