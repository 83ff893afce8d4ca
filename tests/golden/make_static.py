"""Write the golden folders of static embedding models with the libraries that define them.

`expected.json` holds the vector that each library itself has for each token. The folders are
committed; run this only to change them, with sentence-transformers and model2vec installed:
`python tests/golden/make_static.py`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from model2vec.model import quantize_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

FOLDER = Path(__file__).parent / "static"
TOKENS = ["[PAD]", "[UNK]", "the", "café", "##s", "日本語", "a\u00a0b", "🙂"]
VECTORS = np.random.default_rng(3).normal(size=(len(TOKENS), 3)).astype(np.float32)


def tokenizer() -> Tokenizer:
    """Return a WordPiece tokenizer of `TOKENS`: two are special, one is added."""
    vocab = {token: number for number, token in enumerate(TOKENS[:-1])}
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(TOKENS[:2])
    made.add_tokens(TOKENS[-1:])
    assert made.get_vocab() == {token: number for number, token in enumerate(TOKENS)}
    return made


def rows_of(folder: Path) -> list[list[float]]:
    """Return the vector of each token from the library that wrote a folder."""
    if folder.name.startswith("model2vec"):
        model = StaticModel.from_pretrained(folder)
        rows = [model._encode_helper([number])[0] for number in range(len(TOKENS))]
    else:
        module = SentenceTransformer(str(folder), device="cpu")[0]
        rows = list(module.embedding.weight.detach().numpy())
    return [[float(value) for value in row] for row in rows]


def main() -> None:
    """Write all folders and `expected.json`."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    plain = StaticModel(VECTORS, tokenizer())
    for name, changes in (
        ("model2vec", {}),
        ("model2vec-float16", {"quantize_to": "float16"}),
        ("model2vec-float64", {"quantize_to": "float64"}),
        ("model2vec-int8", {"quantize_to": "int8"}),
        ("model2vec-quantised", {"vocabulary_quantization": 4}),
        ("model2vec-quantised-int8", {"vocabulary_quantization": 4, "quantize_to": "int8"}),
    ):
        save(quantize_model(plain, **changes) if changes else plain, name)
    weights = np.linspace(0.5, 2, len(TOKENS), dtype=np.float32)
    save(StaticModel(VECTORS, tokenizer(), weights=weights), "model2vec-weights")

    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer(), embedding_weights=VECTORS.copy())], device="cpu"
    )
    now, before = FOLDER / "sentence-transformers", FOLDER / "sentence-transformers-before"
    model.save(str(now), create_model_card=False)
    # Before version 5, the module had its own folder, which the library still reads.
    (before / "0_StaticEmbedding").mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copyfile(now / name, before / "0_StaticEmbedding" / name)
    kind = "sentence_transformers.models.StaticEmbedding"
    module = {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": kind}
    (before / "modules.json").write_text(json.dumps([module]))
    torch.manual_seed(0)
    found = {folder.name: rows_of(folder) for folder in sorted(FOLDER.iterdir())}
    (FOLDER / "expected.json").write_text(json.dumps({"tokens": TOKENS, "rows": found}, indent=1))


def save(model: StaticModel, name: str) -> None:
    """Write a model2vec folder without its model card."""
    model.save_pretrained(FOLDER / name)
    (FOLDER / name / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
