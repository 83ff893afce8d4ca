"""Any pretrained word-vector file in, a tuned vector file out; in between, a plain nn.Embedding."""

from importlib.metadata import version as _version

from .combine import average, concatenate, extend
from .coverage import Coverage
from .data import collate_bag, collate_packed, collate_padded, encode
from .embedding import to_embedding, to_table
from .errors import (
    DataError,
    FinetuneEmbedError,
    StrategyError,
    VectorFileError,
    VocabularyError,
)
from .evaluation import Drift, drift
from .formats import (
    from_dataset,
    load_arrow,
    load_fasttext,
    load_gensim,
    load_glove,
    load_numpy,
    load_safetensors,
    load_spacy,
    load_static,
    load_vectors,
    load_word2vec,
    save_arrow,
    save_glove,
    save_numpy,
    save_parquet,
    save_safetensors,
    save_spacy,
    save_word2vec,
    to_dataset,
)
from .inspection import Inspection, inspect
from .lookup import Special
from .models import BagOfEmbeddings, KimCNN
from .optim import RowAdamW
from .strategies import (
    Clock,
    DiscriminativeLR,
    Freeze,
    FullTune,
    RowRule,
    Strategy,
    UnfreezeAfter,
    check_moved,
    check_optimizer,
)
from .table import EmbeddingTable, Origin
from .taggers import BiLSTMTagger, CNNTagger
from .tokenizer import Tokenizer
from .training.finetune import finetune
from .training.run import Run, load
from .vocabulary import Vocabulary

__version__ = _version("finetune_embed")

__all__ = [
    "BagOfEmbeddings",
    "BiLSTMTagger",
    "CNNTagger",
    "Clock",
    "Coverage",
    "DataError",
    "DiscriminativeLR",
    "Drift",
    "EmbeddingTable",
    "FinetuneEmbedError",
    "Freeze",
    "FullTune",
    "Inspection",
    "KimCNN",
    "Origin",
    "RowAdamW",
    "RowRule",
    "Run",
    "Special",
    "Strategy",
    "StrategyError",
    "Tokenizer",
    "UnfreezeAfter",
    "VectorFileError",
    "Vocabulary",
    "VocabularyError",
    "average",
    "check_moved",
    "check_optimizer",
    "collate_bag",
    "collate_packed",
    "collate_padded",
    "concatenate",
    "drift",
    "encode",
    "extend",
    "finetune",
    "from_dataset",
    "inspect",
    "load",
    "load_arrow",
    "load_fasttext",
    "load_gensim",
    "load_glove",
    "load_numpy",
    "load_safetensors",
    "load_spacy",
    "load_static",
    "load_vectors",
    "load_word2vec",
    "save_arrow",
    "save_glove",
    "save_numpy",
    "save_parquet",
    "save_safetensors",
    "save_spacy",
    "save_word2vec",
    "to_dataset",
    "to_embedding",
    "to_table",
]
