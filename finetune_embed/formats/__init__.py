"""The vector file formats, one module or folder each, with a reader and, for most, a writer."""

from .arrow import load_arrow, save_arrow, save_parquet, to_dataset
from .fasttext import load_fasttext
from .gensim_native import load_gensim, save_gensim
from .glove import load_glove, save_glove
from .hub import fetched
from .load import FOLDER_READERS, READERS, SAVERS, Loaded, load_vectors, read_vectors
from .numpy_arrays import load_numpy, save_numpy
from .projector import load_projector, save_projector
from .safetensors import load_safetensors, save_safetensors
from .spacy_vectors import load_spacy, save_spacy
from .static_model import load_static
from .word2vec import load_word2vec, save_word2vec

__all__ = [
    "FOLDER_READERS",
    "READERS",
    "SAVERS",
    "Loaded",
    "fetched",
    "load_arrow",
    "load_fasttext",
    "load_gensim",
    "load_glove",
    "load_numpy",
    "load_projector",
    "load_safetensors",
    "load_spacy",
    "load_static",
    "load_vectors",
    "load_word2vec",
    "read_vectors",
    "save_arrow",
    "save_gensim",
    "save_glove",
    "save_numpy",
    "save_parquet",
    "save_projector",
    "save_safetensors",
    "save_spacy",
    "save_word2vec",
    "to_dataset",
]
