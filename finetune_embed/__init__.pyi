"""The public names: each is written once, here; `__init__.py` imports it when it is first used."""

from .comparison import (
    Autotuned as Autotuned,
    Comparison as Comparison,
    autotune as autotune,
    compare as compare,
)
from .data import (
    collate_bag as collate_bag,
    collate_packed as collate_packed,
    collate_padded as collate_padded,
    encode as encode,
)
from .deltas import (
    Delta as Delta,
    apply_delta as apply_delta,
    load_delta as load_delta,
    save_delta as save_delta,
)
from .embedding import (
    to_embedding as to_embedding,
    to_table as to_table,
)
from .errors import (
    DataError as DataError,
    DivergenceError as DivergenceError,
    FinetuneEmbedError as FinetuneEmbedError,
    StrategyError as StrategyError,
    VectorFileError as VectorFileError,
    VocabularyError as VocabularyError,
)
from .evaluation import (
    Analogies as Analogies,
    Categories as Categories,
    Drift as Drift,
    Outliers as Outliers,
    TableScores as TableScores,
    Weat as Weat,
    WordPairs as WordPairs,
    drift as drift,
    evaluate as evaluate,
    evaluate_analogies as evaluate_analogies,
    evaluate_categories as evaluate_categories,
    evaluate_outliers as evaluate_outliers,
    evaluate_weat as evaluate_weat,
    evaluate_word_pairs as evaluate_word_pairs,
    neighbour_overlap as neighbour_overlap,
    read_analogies as read_analogies,
    read_categories as read_categories,
    read_outliers as read_outliers,
    read_weat as read_weat,
    read_word_pairs as read_word_pairs,
)
from .formats import (
    load_arrow as load_arrow,
    load_fasttext as load_fasttext,
    load_gensim as load_gensim,
    load_glove as load_glove,
    load_numpy as load_numpy,
    load_projector as load_projector,
    load_safetensors as load_safetensors,
    load_spacy as load_spacy,
    load_static as load_static,
    load_vectors as load_vectors,
    load_word2vec as load_word2vec,
    save_arrow as save_arrow,
    save_gensim as save_gensim,
    save_glove as save_glove,
    save_numpy as save_numpy,
    save_parquet as save_parquet,
    save_projector as save_projector,
    save_safetensors as save_safetensors,
    save_spacy as save_spacy,
    save_word2vec as save_word2vec,
    to_dataset as to_dataset,
)
from .heads import (
    BagOfEmbeddings as BagOfEmbeddings,
    BiLSTMTagger as BiLSTMTagger,
    CNNTagger as CNNTagger,
    KimCNN as KimCNN,
    LexiconLoss as LexiconLoss,
    PairOfBags as PairOfBags,
    PooledCNN as PooledCNN,
)
from .inspection import (
    Inspection as Inspection,
    inspect as inspect,
)
from .optim import (
    RowAdagrad as RowAdagrad,
    RowAdamW as RowAdamW,
    RowSGD as RowSGD,
)
from .reporting import (
    report as report,
)
from .sharing import (
    push_to_hub as push_to_hub,
    save_card as save_card,
    save_static as save_static,
)
from .strategies import (
    L2SP as L2SP,
    ChainThaw as ChainThaw,
    Clock as Clock,
    DeltaShrink as DeltaShrink,
    DiscriminativeLR as DiscriminativeLR,
    Freeze as Freeze,
    FrequencyLR as FrequencyLR,
    FullTune as FullTune,
    GradualUnfreeze as GradualUnfreeze,
    HeadFirst as HeadFirst,
    LockRows as LockRows,
    MaxNorm as MaxNorm,
    RampUp as RampUp,
    RowRule as RowRule,
    Strategy as Strategy,
    TrainRows as TrainRows,
    TrustRegion as TrustRegion,
    UnfreezeAfter as UnfreezeAfter,
    UnfreezeOnPlateau as UnfreezeOnPlateau,
    check_moved as check_moved,
    check_optimizer as check_optimizer,
)
from .table import (
    EmbeddingTable as EmbeddingTable,
    Origin as Origin,
    PipelineTokenizer as PipelineTokenizer,
    read_lexicon as read_lexicon,
    retrofit as retrofit,
)
from .training.finetune import (
    finetune as finetune,
)
from .training.run.load import (
    load as load,
)
from .training.run.onnx_file import (
    save_onnx as save_onnx,
)
from .training.run.run import (
    Run as Run,
)
from .training.run.shrinking import (
    shrink as shrink,
)
from .vocabulary import (
    Coverage as Coverage,
    Special as Special,
    Tokenizer as Tokenizer,
    Vocabulary as Vocabulary,
    average as average,
    concatenate as concatenate,
    extend as extend,
)

__version__: str
__all__: list[str]
