"""Any pretrained word-vector file in, a tuned vector file out; in between, a plain nn.Embedding.

Names are imported when they are first asked for: vector files are read and written without torch.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from .combine import average, concatenate, extend
    from .comparison import Comparison, compare
    from .coverage import Coverage
    from .data import collate_bag, collate_packed, collate_padded, encode
    from .embedding import to_embedding, to_table
    from .errors import (
        DataError,
        DivergenceError,
        FinetuneEmbedError,
        StrategyError,
        VectorFileError,
        VocabularyError,
    )
    from .evaluation import (
        Drift,
        WordPairs,
        drift,
        evaluate_word_pairs,
        neighbour_overlap,
        read_word_pairs,
    )
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
    from .lexicon import read_lexicon, retrofit
    from .lookup import Special
    from .losses import LexiconLoss
    from .models import BagOfEmbeddings, KimCNN
    from .optim import RowAdamW
    from .strategies import (
        L2SP,
        ChainThaw,
        Clock,
        DeltaShrink,
        DiscriminativeLR,
        Freeze,
        FrequencyLR,
        FullTune,
        GradualUnfreeze,
        HeadFirst,
        LockRows,
        MaxNorm,
        RampUp,
        RowRule,
        Strategy,
        TrainRows,
        TrustRegion,
        UnfreezeAfter,
        UnfreezeOnPlateau,
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

#: The module that each name is from.
_HOME = {
    "BagOfEmbeddings": "models",
    "BiLSTMTagger": "taggers",
    "CNNTagger": "taggers",
    "ChainThaw": "strategies",
    "Clock": "strategies",
    "Comparison": "comparison",
    "Coverage": "coverage",
    "DataError": "errors",
    "DeltaShrink": "strategies",
    "DiscriminativeLR": "strategies",
    "DivergenceError": "errors",
    "Drift": "evaluation",
    "EmbeddingTable": "table",
    "FinetuneEmbedError": "errors",
    "Freeze": "strategies",
    "FrequencyLR": "strategies",
    "FullTune": "strategies",
    "GradualUnfreeze": "strategies",
    "HeadFirst": "strategies",
    "Inspection": "inspection",
    "KimCNN": "models",
    "L2SP": "strategies",
    "LexiconLoss": "losses",
    "LockRows": "strategies",
    "MaxNorm": "strategies",
    "Origin": "table",
    "RampUp": "strategies",
    "RowAdamW": "optim",
    "RowRule": "strategies",
    "Run": "training.run",
    "Special": "lookup",
    "Strategy": "strategies",
    "StrategyError": "errors",
    "Tokenizer": "tokenizer",
    "TrainRows": "strategies",
    "TrustRegion": "strategies",
    "UnfreezeAfter": "strategies",
    "UnfreezeOnPlateau": "strategies",
    "VectorFileError": "errors",
    "Vocabulary": "vocabulary",
    "VocabularyError": "errors",
    "WordPairs": "evaluation",
    "average": "combine",
    "check_moved": "strategies",
    "check_optimizer": "strategies",
    "collate_bag": "data",
    "collate_packed": "data",
    "collate_padded": "data",
    "compare": "comparison",
    "concatenate": "combine",
    "drift": "evaluation",
    "encode": "data",
    "evaluate_word_pairs": "evaluation",
    "extend": "combine",
    "finetune": "training.finetune",
    "from_dataset": "formats",
    "inspect": "inspection",
    "load": "training.run",
    "load_arrow": "formats",
    "load_fasttext": "formats",
    "load_gensim": "formats",
    "load_glove": "formats",
    "load_numpy": "formats",
    "load_safetensors": "formats",
    "load_spacy": "formats",
    "load_static": "formats",
    "load_vectors": "formats",
    "load_word2vec": "formats",
    "neighbour_overlap": "evaluation",
    "read_lexicon": "lexicon",
    "read_word_pairs": "evaluation",
    "retrofit": "lexicon",
    "save_arrow": "formats",
    "save_glove": "formats",
    "save_numpy": "formats",
    "save_parquet": "formats",
    "save_safetensors": "formats",
    "save_spacy": "formats",
    "save_word2vec": "formats",
    "to_dataset": "formats",
    "to_embedding": "embedding",
    "to_table": "embedding",
}


def __getattr__(name: str) -> _Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOME.keys())


__all__ = [
    "L2SP",
    "BagOfEmbeddings",
    "BiLSTMTagger",
    "CNNTagger",
    "ChainThaw",
    "Clock",
    "Comparison",
    "Coverage",
    "DataError",
    "DeltaShrink",
    "DiscriminativeLR",
    "DivergenceError",
    "Drift",
    "EmbeddingTable",
    "FinetuneEmbedError",
    "Freeze",
    "FrequencyLR",
    "FullTune",
    "GradualUnfreeze",
    "HeadFirst",
    "Inspection",
    "KimCNN",
    "LexiconLoss",
    "LockRows",
    "MaxNorm",
    "Origin",
    "RampUp",
    "RowAdamW",
    "RowRule",
    "Run",
    "Special",
    "Strategy",
    "StrategyError",
    "Tokenizer",
    "TrainRows",
    "TrustRegion",
    "UnfreezeAfter",
    "UnfreezeOnPlateau",
    "VectorFileError",
    "Vocabulary",
    "VocabularyError",
    "WordPairs",
    "average",
    "check_moved",
    "check_optimizer",
    "collate_bag",
    "collate_packed",
    "collate_padded",
    "compare",
    "concatenate",
    "drift",
    "encode",
    "evaluate_word_pairs",
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
    "neighbour_overlap",
    "read_lexicon",
    "read_word_pairs",
    "retrofit",
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
