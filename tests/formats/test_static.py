from __future__ import annotations

import json
import shutil
import struct
import warnings

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from finetune_embed import (
    VectorFileError,
    load_safetensors,
    load_static,
    load_vectors,
    save_safetensors,
)

TOKENS = ["[UNK]", "the", "café"]
ROWS = np.array([[0.5, 1.0], [2.0, -3.0], [4.0, 0.25]], np.float32)
LIBRARIES = [
    "model2vec",
    "model2vec-float16",
    "model2vec-float64",
    "model2vec-int8",
    "model2vec-quantised",
    "model2vec-quantised-int8",
    "model2vec-weights",
    "sentence-transformers",
    "sentence-transformers-before",
]


def wordpiece(tokens: list[str]) -> dict[str, object]:
    vocab = {token: number for number, token in enumerate(tokens)}
    return {"model": {"type": "WordPiece", "vocab": vocab}, "added_tokens": []}


@pytest.fixture
def model(tmp_path):
    """Return a function that writes the folder of a model."""

    def _model(tensors=None, tokenizer=None, name="model"):
        folder = tmp_path / name
        folder.mkdir()
        save_file(
            {"embeddings": ROWS} if tensors is None else tensors, folder / "model.safetensors"
        )
        tokenizer = wordpiece(TOKENS) if tokenizer is None else tokenizer
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        return folder

    return _model


def test_the_golden_folders_are_all_tested(golden):
    folders = sorted(path.name for path in (golden / "static").iterdir() if path.is_dir())
    assert folders == sorted(LIBRARIES)


@pytest.mark.parametrize("name", LIBRARIES)
def test_tokens_have_the_vectors_that_the_library_gives_them(golden, name):
    expected = json.loads((golden / "static" / "expected.json").read_text())
    rows = np.array(expected["rows"][name], np.float32)
    for load in (load_static, load_vectors):
        table = load(golden / "static" / name)
        assert table.index_to_key == expected["tokens"]
        assert table.vectors.dtype == np.float32
        assert table.vectors.tobytes() == rows.tobytes()
        assert table.metadata["source"] == f"{name}/model.safetensors"
        assert table.metadata["source_format"] == "static"
        assert len(table.metadata["source_sha256"]) == 64
    some = load_static(golden / "static" / name, keys=["🙂", "absent", "the", "the"])
    assert some.index_to_key == ["the", "🙂"]
    assert some.vectors.tobytes() == rows[[2, 7]].tobytes()
    first = load_static(golden / "static" / name, limit=3)
    assert first.index_to_key == expected["tokens"][:3]
    assert first.vectors.tobytes() == rows[:3].tobytes()


def test_the_path_of_the_tensors_is_accepted(golden, model):
    table = load_static(golden / "static" / "model2vec" / "model.safetensors")
    assert len(table) == 8
    assert table.metadata["source"] == "model2vec/model.safetensors"
    folder = model()
    with pytest.raises(VectorFileError, match=r"tokenizer.json: this is a file, not one with mode"):
        load_static(folder / "tokenizer.json")


def test_int8_vectors_are_the_integers(golden):
    table = load_static(golden / "static" / "model2vec-int8")
    assert np.array_equal(table.vectors, np.rint(table.vectors))
    assert np.abs(table.vectors).max() == 127


def test_float32_vectors_stay_on_disk(golden, model):
    for name in ("model2vec", "sentence-transformers"):
        table = load_static(golden / "static" / name)
        assert not table.vectors.flags.owndata
        assert not table.vectors.flags.writeable
    assert load_static(model(), keys=["café"]).vectors.flags.writeable


def test_weights_and_mapping_alone(model):
    weights = np.array([1.0, 0.5, 2.0], np.float16)
    table = load_static(model({"embeddings": ROWS, "weights": weights}, name="weights"))
    assert table.vectors.tolist() == [[0.5, 1.0], [1.0, -1.5], [8.0, 0.5]]
    mapping = np.array([2, 2, 0], np.int64)
    table = load_static(model({"embeddings": ROWS, "mapping": mapping}, name="mapping"))
    assert table.vectors.tolist() == [[4.0, 0.25], [4.0, 0.25], [0.5, 1.0]]


def test_a_product_of_float16_is_rounded_and_overflows_as_in_the_library(model):
    half = {"embeddings": ROWS.astype(np.float16), "weights": np.full(3, 30_000, np.float16)}
    table = load_static(model(half))
    with np.errstate(over="ignore"):
        expected = half["embeddings"] * half["weights"][:, None]
    assert table.vectors.tobytes() == expected.astype(np.float32).tobytes()
    assert np.isinf(table.vectors).sum() == 2


def tokenizers() -> dict[str, Tokenizer]:
    ids = {"[UNK]": 0, "the": 1, "t": 2, "h": 3, "e": 4, "th": 5}
    pieces = [("<unk>", 0.0), ("▁the", -1.0), ("s", -2.5), ("日本", -3.0)]
    return {
        "WordPiece": Tokenizer(models.WordPiece(ids, unk_token="[UNK]")),
        "WordLevel": Tokenizer(models.WordLevel(dict(reversed(ids.items())), "[UNK]")),
        "BPE": Tokenizer(models.BPE(ids, [("t", "h")])),
        "Unigram": Tokenizer(models.Unigram(pieces, unk_id=0)),
    }


@pytest.mark.parametrize("kind", ["WordPiece", "WordLevel", "BPE", "Unigram"])
def test_tokens_are_those_of_the_tokenizers_library(kind, model):
    tokenizer = tokenizers()[kind]
    tokenizer.add_special_tokens(["<pad>", "the"])
    tokenizer.add_tokens(["two words"])
    ids = tokenizer.get_vocab(with_added_tokens=True)
    rows = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    folder = model({"embedding.weight": rows}, json.loads(tokenizer.to_str()))
    table = load_static(folder)
    assert {token: table.key_to_index[token] for token in ids} == ids
    assert len(table) == len(ids)
    assert table.vectors.tobytes() == rows.tobytes()


def test_rows_without_a_token_are_left_out(model):
    table = load_static(model(tokenizer={"model": {"vocab": {"a": 2, "b": 0}}}))
    assert table.index_to_key == ["b", "a"]
    assert table.vectors.tobytes() == ROWS[[0, 2]].tobytes()


def test_round_trip_through_our_own_file(golden, tmp_path):
    table = load_static(golden / "static" / "model2vec-quantised")
    save_safetensors(table, tmp_path / "out.safetensors")
    again = load_safetensors(tmp_path / "out.safetensors")
    assert again.index_to_key == table.index_to_key
    assert again.vectors.tobytes() == table.vectors.tobytes()


def test_the_error_for_the_tensors_alone_has_a_remedy(golden):
    path = golden / "static" / "model2vec" / "model.safetensors"
    for load in (load_vectors, load_safetensors):
        with pytest.raises(VectorFileError, match=r"a static embedding .*: load_static\(folder\)"):
            load(path)


def test_a_model_whose_first_module_is_another(model):
    folder = model()
    modules = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(VectorFileError, match=r"models.Transformer, not StaticEmbedding or W"):
        load_vectors(folder)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([], "does not list modules"),
        ({}, "does not list modules"),
        ([{"type": "StaticEmbedding"}], "does not list modules"),
        ([3], "does not list modules"),
        (
            [{"type": "x.StaticEmbedding", "path": "../other"}],
            r"names the folder '\.\./other', which is not in",
        ),
        (
            [{"type": "x.StaticEmbedding", "path": "0"}],
            r"names the folder '0', which is not in .*model; fetch",
        ),
        ([{"type": "x.StaticEmbedding", "path": "a" * 5_000}], "names the folder 'aaa"),
        ([{"type": "x.StaticEmbedding", "path": "a\0b"}], r"names the folder 'a\\x00b'"),
    ],
)
def test_modules_that_are_invalid(model, modules, message):
    folder = model()
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(VectorFileError, match=message):
        load_vectors(folder)


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("[", "tokenizer.json: this is not valid JSON"),
        ("", "tokenizer.json: the file is empty"),
        ("[" * 100_000, "tokenizer.json: this is not valid JSON"),
        ("\ufffd", "tokenizer.json: this is not valid JSON"),
        ("[]", "does not list tokens in model.vocab"),
        ("{}", "does not list tokens in model.vocab"),
        ('{"model": {"vocab": 3}}', "does not list tokens in model.vocab"),
        ('{"model": {"vocab": [["a"]]}}', "does not list tokens in model.vocab"),
        ('{"model": {"vocab": {"a": 0.5}}}', "does not list tokens .*not an integer"),
        ('{"model": {"vocab": {"a": true}}}', "does not list tokens .*not an integer"),
        ('{"model": {"vocab": {"a": null}}}', "does not list tokens .*not an integer"),
        ('{"model": {"vocab": {}}, "added_tokens": [{"id": 1}]}', "does not list tokens"),
        ('{"model": {"vocab": {}}, "added_tokens": 7}', "does not list tokens"),
        ('{"model": {"vocab": {}}}', "lists no tokens, but model.safetensors has 3 vectors"),
        ('{"model": {"vocab": {"a": -1}}}', "the token 'a' has the id -1, .* 0 to 2"),
        ('{"model": {"vocab": {"a": 0, "b": 3}}}', "the token 'b' has the id 3, .* 0 to 2"),
        ('{"model": {"vocab": {"a": 99999999999999999999}}}', "'a' has the id 9999999999999"),
    ],
)
def test_tokenizers_that_are_invalid(model, tokenizer, message):
    folder = model()
    (folder / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(VectorFileError, match=message):
        load_vectors(folder)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"bert.weight": ROWS}, "holds bert.weight, but neither embedding.weight nor embeddings"),
        ({"embeddings": ROWS[:, 0].copy()}, r"embeddings is F32 \[3\], but F32 with 2 dimens"),
        ({"embeddings": ROWS.astype(np.int32)}, "embeddings is of type I32, .* F32, F16, F64, I8;"),
        ({"embeddings": ROWS[:0]}, "embeddings is 0 x 2, which is not a ta"),
        ({"embeddings": ROWS[:, :0]}, "embeddings is 3 x 0, which is not a t"),
        ({"embeddings": np.zeros((1, 65_537), np.int8)}, "embeddings is 1 x 65,537, which is no"),
        ({"embeddings": ROWS[:2].copy()}, "'café' has the id 2, .* vectors for ids 0 to 1"),
        ({"embeddings": ROWS.astype(np.float64) * 1e200}, "too large for float32"),
        ({"embeddings": ROWS, "weights": ROWS[0]}, "there are 2 weights for 3 tokens"),
        ({"embeddings": ROWS, "weights": ROWS}, r"weights is F32 \[3, 2\], but F32 with 1"),
        ({"embeddings": ROWS, "weights": np.arange(3)}, "weights is of type I64"),
        ({"embeddings": ROWS, "mapping": np.array([0, 3, 1])}, "rows 0 to 3, but .* has 3"),
        ({"embeddings": ROWS, "mapping": np.array([0, -1, 1])}, "rows -1 to 1, but .* has 3"),
        ({"embeddings": ROWS, "mapping": np.array([], np.int64)}, "mapping is empty"),
        ({"embeddings": ROWS, "mapping": ROWS[:, 0].copy()}, "mapping is of type F32, .* one of I"),
    ],
)
def test_tensors_that_are_not_a_table(model, tensors, message):
    with pytest.raises(VectorFileError, match=message):
        load_vectors(model(tensors))


def test_a_type_of_number_that_numpy_lacks_is_named(model):
    folder = model()
    header = {"embeddings": {"dtype": "BF16", "shape": [3, 1], "data_offsets": [0, 6]}}
    encoded = json.dumps(header).encode()
    data = struct.pack("<Q", len(encoded)) + encoded + bytes(6)
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(VectorFileError, match=r"of type BF16, .*model\.to\(torch\.float32\)"):
        load_static(folder)


def test_tensors_cut_anywhere(model):
    folder = model({"embeddings": ROWS[:1], "mapping": np.zeros(3, np.int32)})
    path = folder / "model.safetensors"
    data = path.read_bytes()
    for stop in range(len(data)):
        path.write_bytes(data[:stop])
        with pytest.raises(VectorFileError, match=r"model\.safetensors"):
            load_static(folder)


def test_pickled_weights_are_named(model):
    folder = model()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(VectorFileError, match=r"pickle, which is not read .*safe_serialization=Tr"):
        load_static(folder)


def test_missing_files_are_named(model, tmp_path):
    folder = model()
    with pytest.raises(VectorFileError, match="absent: no such folder"):
        load_static(tmp_path / "absent")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(VectorFileError, match=r"; pass the folder .*, with tokenizer\.json$"):
        load_static(folder)
    with pytest.raises(VectorFileError, match="limit=0"):
        load_static(folder, limit=0)


def test_random_damage_gives_a_table_or_an_error(golden, tmp_path):
    """Bytes of a valid model changed at random: a table or one clear error, and no warning."""
    random = np.random.default_rng(1)
    folder = shutil.copytree(golden / "static" / "model2vec-quantised", tmp_path / "model")
    refused = 0
    for name in ("model.safetensors", "tokenizer.json", "modules.json"):
        original = (folder / name).read_bytes()
        for _ in range(150):
            data = bytearray(original)
            for at in random.integers(0, len(data), 3):
                data[at] = random.integers(0, 256)
            (folder / name).write_bytes(data)
            with warnings.catch_warnings(action="error"):
                try:
                    load_static(folder, keys=["the"])
                except VectorFileError:
                    refused += 1
        (folder / name).write_bytes(original)
    assert 200 < refused < 450


@pytest.mark.parametrize("kind", ["Whitespace", "Phrase"])
def test_word_embeddings_of_sentence_transformers(tmp_path, kind):
    from sentence_transformers.sentence_transformer.modules import WordEmbeddings
    from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

    words = ["PADDING_TOKEN", "the", "café", "new_york"]
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    folder = tmp_path / "0_WordEmbeddings"
    folder.mkdir()
    WordEmbeddings(WhitespaceTokenizer(words, stop_words=[]), rows).save(str(folder))
    if kind == "Phrase":  # its tokenizer needs a package, and writes the same list
        name = "tokenizer_config.json"
        (folder / f"whitespace{name}").rename(folder / f"phrase{name}")
    module = {"idx": 0, "path": folder.name, "type": "sentence_transformers.models.WordEmbeddings"}
    (tmp_path / "modules.json").write_text(json.dumps([module]))
    for path in (tmp_path, folder):
        for load in (load_static, load_vectors):
            table = load(path)
            assert table.index_to_key == words
            assert table.vectors.tolist() == rows.tolist()
            assert load(path, ["the"])["the"].tolist() == [2.0, 3.0]
    (config,) = folder.glob("*tokenizer_config.json")
    for content, message in (
        ('{"vocab": 3}', r"does not list tokens in vocab"),
        ("[]", r"does not list tokens in vocab"),
        (json.dumps({"vocab": [*words, "x"]}), r"the token 'x' has the id 4, but"),
        ("version https://git-lfs.github.com/spec/v1\n", r"this is a Git LFS pointer"),
    ):
        config.write_text(content)
        with pytest.raises(VectorFileError, match=rf"{config.name}: .*{message}"):
            load_vectors(tmp_path)
