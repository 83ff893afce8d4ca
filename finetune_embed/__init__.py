"""Any pretrained word-vector file in, a tuned vector file out; in between, a plain nn.Embedding."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

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
from .vocabulary import Vocabulary

if _TYPE_CHECKING:
    from .inspection import Inspection, inspect
    from .training.finetune import finetune
    from .training.run import Run, load

__version__ = _version("finetune_embed")

#: What is imported when it is first asked for, so that a loop of one's own does not wait for it.
_LATER = {
    "Inspection": "inspection",
    "Run": "training.run",
    "finetune": "training.finetune",
    "inspect": "inspection",
    "load": "training.run",
}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_import_module(f"{__name__}.{_LATER[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LATER.keys())


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
