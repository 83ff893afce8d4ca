"""The public names: each is written once, here; `__init__.py` imports it when it is first used."""

from .comparison import (
    Comparison as Comparison,
)
from .comparison import (
    compare as compare,
)
from .data import (
    collate_bag as collate_bag,
)
from .data import (
    collate_packed as collate_packed,
)
from .data import (
    collate_padded as collate_padded,
)
from .data import (
    encode as encode,
)
from .embedding import (
    to_embedding as to_embedding,
)
from .embedding import (
    to_table as to_table,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    DivergenceError as DivergenceError,
)
from .errors import (
    FinetuneEmbedError as FinetuneEmbedError,
)
from .errors import (
    StrategyError as StrategyError,
)
from .errors import (
    VectorFileError as VectorFileError,
)
from .errors import (
    VocabularyError as VocabularyError,
)
from .evaluation import (
    Drift as Drift,
)
from .evaluation import (
    WordPairs as WordPairs,
)
from .evaluation import (
    drift as drift,
)
from .evaluation import (
    evaluate_word_pairs as evaluate_word_pairs,
)
from .evaluation import (
    neighbour_overlap as neighbour_overlap,
)
from .evaluation import (
    read_word_pairs as read_word_pairs,
)
from .formats import (
    load_arrow as load_arrow,
)
from .formats import (
    load_fasttext as load_fasttext,
)
from .formats import (
    load_gensim as load_gensim,
)
from .formats import (
    load_glove as load_glove,
)
from .formats import (
    load_numpy as load_numpy,
)
from .formats import (
    load_safetensors as load_safetensors,
)
from .formats import (
    load_spacy as load_spacy,
)
from .formats import (
    load_static as load_static,
)
from .formats import (
    load_vectors as load_vectors,
)
from .formats import (
    load_word2vec as load_word2vec,
)
from .formats import (
    save_arrow as save_arrow,
)
from .formats import (
    save_glove as save_glove,
)
from .formats import (
    save_numpy as save_numpy,
)
from .formats import (
    save_parquet as save_parquet,
)
from .formats import (
    save_safetensors as save_safetensors,
)
from .formats import (
    save_spacy as save_spacy,
)
from .formats import (
    save_word2vec as save_word2vec,
)
from .formats import (
    to_dataset as to_dataset,
)
from .heads import (
    BagOfEmbeddings as BagOfEmbeddings,
)
from .heads import (
    BiLSTMTagger as BiLSTMTagger,
)
from .heads import (
    CNNTagger as CNNTagger,
)
from .heads import (
    KimCNN as KimCNN,
)
from .heads import (
    LexiconLoss as LexiconLoss,
)
from .inspection import (
    Inspection as Inspection,
)
from .inspection import (
    inspect as inspect,
)
from .optim import (
    RowAdamW as RowAdamW,
)
from .strategies import (
    L2SP as L2SP,
)
from .strategies import (
    ChainThaw as ChainThaw,
)
from .strategies import (
    Clock as Clock,
)
from .strategies import (
    DeltaShrink as DeltaShrink,
)
from .strategies import (
    DiscriminativeLR as DiscriminativeLR,
)
from .strategies import (
    Freeze as Freeze,
)
from .strategies import (
    FrequencyLR as FrequencyLR,
)
from .strategies import (
    FullTune as FullTune,
)
from .strategies import (
    GradualUnfreeze as GradualUnfreeze,
)
from .strategies import (
    HeadFirst as HeadFirst,
)
from .strategies import (
    LockRows as LockRows,
)
from .strategies import (
    MaxNorm as MaxNorm,
)
from .strategies import (
    RampUp as RampUp,
)
from .strategies import (
    RowRule as RowRule,
)
from .strategies import (
    Strategy as Strategy,
)
from .strategies import (
    TrainRows as TrainRows,
)
from .strategies import (
    TrustRegion as TrustRegion,
)
from .strategies import (
    UnfreezeAfter as UnfreezeAfter,
)
from .strategies import (
    UnfreezeOnPlateau as UnfreezeOnPlateau,
)
from .strategies import (
    check_moved as check_moved,
)
from .strategies import (
    check_optimizer as check_optimizer,
)
from .table import (
    EmbeddingTable as EmbeddingTable,
)
from .table import (
    Origin as Origin,
)
from .table import (
    read_lexicon as read_lexicon,
)
from .table import (
    retrofit as retrofit,
)
from .training.finetune import (
    finetune as finetune,
)
from .training.run.run import (
    Run as Run,
)
from .training.run.run import (
    load as load,
)
from .vocabulary import (
    Coverage as Coverage,
)
from .vocabulary import (
    Special as Special,
)
from .vocabulary import (
    Tokenizer as Tokenizer,
)
from .vocabulary import (
    Vocabulary as Vocabulary,
)
from .vocabulary import (
    average as average,
)
from .vocabulary import (
    concatenate as concatenate,
)
from .vocabulary import (
    extend as extend,
)

__version__: str
__all__: list[str]
