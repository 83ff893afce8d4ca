"""What other libraries read of the files of docs/compatibility.md; see `compatibility.py`."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS

Array = npt.NDArray[Any]


@dataclass
class Found:
    """What a library reads; None where the target has no such thing.

    Attributes:
        rows: the vectors `(V, D)`, as numpy or torch has them.
        words: the words in order.
        tokens: the tokens of each text.
        sentences: a vector for each text, or its probabilities.
        dtype: the type of the numbers, if not that of `rows`.
    """

    rows: Any = None
    words: Sequence[str] | None = None
    tokens: list[list[str]] | None = None
    sentences: Any = None
    dtype: str = ""


class Work:
    """The table and the texts that are written and compared."""

    @cached_property
    def table(self) -> fe.EmbeddingTable:
        """The vectors of the demo."""
        return fe.load_vectors(VECTORS)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that fits them."""
        return fe.Tokenizer.for_table(self.table)

    @cached_property
    def texts(self) -> list[str]:
        """Reviews of the demo whose words all have vectors."""
        with open(REVIEWS / "test.csv", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        return [t for t in texts if all(map(self.table.__contains__, self.tokenizer.tokenize(t)))]

    @cached_property
    def tokens(self) -> list[list[str]]:
        """The tokens of the texts."""
        return [self.tokenizer.tokenize(text) for text in self.texts]

    @cached_property
    def sentences(self) -> Array:
        """The mean vector of each text."""
        return np.stack([self.table.rows(self.table.rows_of(t)).mean(axis=0) for t in self.tokens])

    @cached_property
    def run(self) -> fe.Run:
        """A short run, for what holds a model."""
        return fe.finetune(self.table, REVIEWS, head="bag", lexical=False, epochs=1, seed=0)


def split_words(tensors: Any) -> list[str]:
    """Return the words of the two tensors of a safetensors file."""
    data, offsets = bytes(tensors["vocab.bytes"]), tensors["vocab.offsets"].tolist()
    return [data[a:b].decode() for a, b in pairwise(offsets)]


def in_safetensors(path: Path, work: Work) -> Found:
    """Read a file with `safetensors.numpy`."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    rows = tensors["embedding.weight"]
    if "embedding.scale" in tensors:
        decoded = rows * tensors["embedding.scale"][:, None]
        return Found(decoded, split_words(tensors), dtype=str(rows.dtype))
    return Found(rows, split_words(tensors))


def in_torch(path: Path, work: Work) -> Found:
    """Read a file with `safetensors.torch`, which has bfloat16."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    rows = tensors["embedding.weight"]
    words = {name: tensors[name].numpy() for name in ("vocab.bytes", "vocab.offsets")}
    return Found(rows.float().numpy(), split_words(words), dtype=str(rows.dtype)[6:])


def in_shards(path: Path, work: Work) -> Found:
    """Read the files that the index of a folder names."""
    from safetensors import safe_open

    index = json.loads((path / "model.safetensors.index.json").read_text())["weight_map"]
    tensors = {}
    for name, file in index.items():
        with safe_open(path / file, "numpy") as opened:
            tensors[name] = opened.get_tensor(name)
    parts = sorted(n for n in tensors if n.startswith("embedding.weight"))
    return Found(np.concatenate([tensors[name] for name in parts]), split_words(tensors))


def in_model2vec(path: Path, work: Work) -> Found:
    """Open a folder with model2vec; the row of `<unk>` follows those of the words."""
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(path)
    tokens = [[model.tokens[i] for i in ids] for ids in model.tokenize(work.texts)]
    words = list(model.tokens)[: len(work.table)]
    return Found(model.embedding[: len(words)], words, tokens, model.encode(work.texts))


def in_sentence_transformers(path: Path, work: Work) -> Found:
    """Open a folder with sentence-transformers; `<unk>` follows the words."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    ids = model[0].tokenizer.get_vocab()
    words = sorted(ids, key=ids.__getitem__)[: len(work.table)]
    rows = model[0].embedding.weight.detach().numpy()[: len(words)]
    encoded = [model[0].tokenizer.encode(t, add_special_tokens=False) for t in work.texts]
    return Found(rows, words, [one.tokens for one in encoded], model.encode(work.texts))


def in_tokenizers(path: Path, work: Work) -> Found:
    """Split the texts with the `tokenizer.json` of a folder."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    ids = tokenizer.get_vocab()
    words = sorted(ids, key=ids.__getitem__)[: len(work.table)]
    encoded = tokenizer.encode_batch(work.texts, add_special_tokens=False)
    return Found(words=words, tokens=[one.tokens for one in encoded])


def in_gensim(path: Path, work: Work, **options: Any) -> Found:
    """Read a file with gensim, its own or in the formats of word2vec."""
    from gensim.models import KeyedVectors

    if options:
        keyed = KeyedVectors.load_word2vec_format(str(path), **options)
    else:
        keyed = KeyedVectors.load(str(path))
    return Found(keyed.vectors, keyed.index_to_key)


def in_fasttext(path: Path, work: Work) -> Found:
    """Start a fastText model from a file, without training it; it has an order of its own."""
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        text.write_text("__label__a the\n")
        options = {"dim": work.table.vector_size, "epoch": 0, "minn": 0, "maxn": 0, "bucket": 0}
        model = fasttext.train_supervised(
            str(text), pretrainedVectors=str(path), verbose=0, thread=1, **options
        )
    words = [word for word in model.words if word != "</s>"]
    assert set(words) == set(work.table.index_to_key)
    rows = np.stack([model.get_word_vector(word) for word in work.table.index_to_key])
    return Found(rows, work.table.index_to_key)


def in_spacy(path: Path, work: Work, pipeline: bool = False) -> Found:
    """Read the vectors of a spaCy vocabulary, or of a pipeline."""
    import spacy

    vocab = spacy.load(path).vocab if pipeline else spacy.vocab.Vocab().from_disk(path)
    rows = {row: key for key, row in vocab.vectors.key2row.items()}
    return Found(vocab.vectors.data, [vocab.strings[rows[row]] for row in range(len(rows))])


def by_hand(path: Path, work: Work) -> Found:
    """Split lines at spaces."""
    lines = [line.split(" ") for line in path.read_text("utf-8").removesuffix("\n").split("\n")]
    return Found(np.array([line[1:] for line in lines], np.float32), [line[0] for line in lines])


def in_the_projector(path: Path, work: Work) -> Found:
    """Split the two files as the Projector does."""
    text, words = ((path / f"{name}.tsv").read_text("utf-8") for name in ("vectors", "metadata"))
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    return Found(np.array(rows, np.float32), [line for line in words.split("\n") if line.strip()])


def in_numpy(path: Path, work: Work) -> Found:
    """Read an archive without pickle."""
    with np.load(path) as archive:
        return Found(archive["vectors"], archive["words"].tolist())


def in_pyarrow(path: Path, work: Work, kind: str) -> Found:
    """Read a file with pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path) if kind == "parquet" else pa.ipc.open_file(path).read_all()
    rows = table["vector"].combine_chunks().flatten().to_numpy()
    return Found(rows.reshape(len(table), -1), table["token"].to_pylist())


def in_polars(path: Path, work: Work, kind: str) -> Found:
    """Read a file with polars."""
    import polars as pl

    frame = pl.read_parquet(path) if kind == "parquet" else pl.read_ipc(path)
    return Found(frame["vector"].to_numpy(), frame["token"].to_list())


def in_datasets(path: Path, work: Work) -> Found:
    """Read a file or a folder with datasets."""
    import datasets

    if path.is_dir():
        found = datasets.load_from_disk(str(path))
    else:
        found = datasets.Dataset.from_parquet(str(path), cache_dir=str(path.parent / "cache"))
    found = found.with_format("numpy")
    return Found(np.asarray(found["vector"][:]), [str(word) for word in found["token"][:]])


def in_onnxruntime(path: Path, work: Work) -> Found:
    """Run a model on the texts, split by the tokenizer in its metadata."""
    import onnxruntime
    from tokenizers import Tokenizer

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    tokenizer = Tokenizer.from_str(metadata["tokenizer"])
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(work.texts, add_special_tokens=False)
    feed = {
        "input_ids": np.array([one.ids for one in encoded], np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
    }
    (probabilities,) = session.run(["probabilities"], feed)
    tokens = [
        [token for token, kept in zip(one.tokens, one.attention_mask, strict=True) if kept]
        for one in encoded
    ]
    return Found(tokens=tokens, sentences=probabilities, dtype=str(probabilities.dtype))
