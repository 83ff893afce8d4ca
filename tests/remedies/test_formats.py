"""The remedies of the errors of vector file formats are followed."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from following import follows
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_torch

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.errors import VectorFileError

WORDS = ["king", "queen", "man"]
VECTORS = np.array([[1.0, 0.5], [1.0, -0.5], [0.25, 0.5]], np.float32)
TEXT = b"king 1 0.5\nqueen 1 -0.5\nman 0.25 0.5\n"


@pytest.fixture
def table() -> fe.EmbeddingTable:
    return fe.EmbeddingTable(WORDS, VECTORS)


@pytest.fixture
def command(capsys):
    """Return a function that runs a command and returns its exit code and message."""

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, capsys.readouterr().err.rstrip("\n")

    return run


def converts(command, *arguments: object) -> bool:
    """Return whether `convert` succeeds and writes words."""
    code, _ = command("convert", *arguments)
    return code == 0 and len(fe.load_vectors(arguments[1])) > 0


def refused(load, *arguments: object, **options: object) -> str:
    """Return the message of the error that a call raises."""
    with pytest.raises(VectorFileError) as error:
        load(*arguments, **options)
    return str(error.value)


def refused_command(command, *arguments: object) -> str:
    """Return the message of a command that fails."""
    code, message = command(*arguments)
    assert code == 2
    return message


# Arguments of every loader


@follows("formats/common/arguments.py", "must be 1 or more")
def test_a_limit_below_1(write, command, tmp_path):
    path, out = write(TEXT), tmp_path / "out.bin"
    assert refused(fe.load_vectors, path, limit=0).endswith("; leave limit out to read all rows")
    assert len(fe.load_vectors(path)) == 3
    message = refused_command(command, "convert", path, out, "--limit", 0)
    assert message.endswith("; leave --limit out to read all rows")
    assert converts(command, path, out)


@follows("formats/common/arguments.py", "is a single string")
def test_keys_as_one_string(write):
    path = write(TEXT)
    message = refused(fe.load_vectors, path, keys="king")
    assert message.endswith("; pass a list of words: keys=['king']")
    assert fe.load_vectors(path, keys=["king"]).index_to_key == ["king"]


@follows("formats/common/arguments.py", "is not a collection of words")
def test_a_vocabulary_as_keys(write):
    path, vocab = write(TEXT), fe.Vocabulary.from_texts(["king"])
    message = refused(fe.load_vectors, path, keys=vocab)
    assert message.endswith("; pass a list of words, such as list(vocab.key_to_index)")
    assert fe.load_vectors(path, keys=list(vocab.key_to_index)).index_to_key == ["king"]


@follows("formats/load.py", "leave out ")
def test_a_member_of_a_folder(golden, command, tmp_path):
    folder, out = golden / "static" / "model2vec", tmp_path / "out.bin"
    assert refused(fe.load_vectors, folder, member="x").endswith("; leave out member")
    assert len(fe.load_vectors(folder)) == 8
    message = refused_command(command, "convert", folder, out, "--member", "x")
    assert message.endswith("; leave out --member")
    assert fe.load_static(folder).index_to_key[2] == "the"


# Formats


@follows("formats/common/sniff.py", "pass this file itself")
def test_a_file_of_another_format(golden, command, tmp_path):
    path = golden / "tiny.parquet"
    message = refused(fe.load_glove, path)
    assert message.endswith(
        "; use load_arrow(path), or load_vectors(path), which detects the format"
    )
    assert len(fe.load_arrow(path)) == len(fe.load_vectors(path)) == 5
    folder, out = tmp_path / "model", tmp_path / "out.bin"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(TEXT)
    message = refused_command(command, "convert", folder, out)
    assert message.endswith("; pass this file itself")
    assert converts(command, folder / "model.safetensors", out)


@follows("formats/common/sniff.py", "which is not read here")
def test_a_format_that_is_not_read(tmp_path, command):
    path, new = tmp_path / "v.txt", tmp_path / "new.txt"
    path.write_bytes(TEXT.decode().encode("utf-16"))
    message = refused(fe.load_vectors, path)
    assert message.endswith("; convert it to UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE")
    with open(new, "wb") as file:
        subprocess.run(["iconv", "-f", "UTF-16", "-t", "UTF-8", path], stdout=file, check=True)
    assert fe.load_vectors(new).index_to_key == WORDS
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    message = refused(fe.load_vectors, path)
    assert message.endswith("; read it with h5py and pass EmbeddingTable(words, vectors)")
    assert len(fe.EmbeddingTable(WORDS, VECTORS)) == 3
    message = refused_command(command, "convert", path, tmp_path / "out.bin")
    call = "numpy.savez('vectors.npz', vectors=vectors, words=words)"
    assert message.endswith(f"; read it with h5py and save it with {call}")
    np.savez(tmp_path / "vectors.npz", vectors=VECTORS, words=WORDS)
    assert converts(command, tmp_path / "vectors.npz", tmp_path / "out.bin")


@follows("formats/common/folders.py", "where=path, remedy=remedy")
def test_a_folder_of_another_kind(tmp_path, table):
    fe.to_dataset(table).save_to_disk(str(tmp_path / "data" / "set"))
    message = refused(fe.load_arrow, tmp_path / "data")
    assert message.endswith("; pass the folder that contains state.json")
    assert fe.load_arrow(tmp_path / "data" / "set").index_to_key == WORDS
    message = refused(fe.load_static, tmp_path / "data" / "set")
    assert message.endswith("; use load_arrow(path)")


# Text and word2vec


BINARY = b"2 2\nking " + struct.pack("<2f", 1, 0.5) + b"queen " + struct.pack("<2f", 1, -0.5)


def reads_the_first_rows(path: Path, rows: int, command) -> None:
    """Follow the remedy of a file whose header promises another number of rows."""
    message = refused(fe.load_vectors, path)
    assert message.endswith(f", or read its first rows: load_vectors(path, limit={rows})")
    assert fe.load_vectors(path, limit=rows).index_to_key == WORDS[:rows]
    message = refused_command(command, "convert", path, path.with_name("out.bin"))
    call = f"finetune-embed convert FILE NEW_FILE --limit {rows}"
    assert message.endswith(f", or write its first rows to a file: {call}")
    assert converts(command, path, path.with_name("out.bin"), "--limit", rows)


@follows("formats/common/text.py", "the header promises")
def test_text_with_fewer_rows_than_promised(write, command):
    reads_the_first_rows(write(b"9 2\n" + TEXT), 3, command)


@follows("formats/common/text.py", "of {vector_size:,} numbers in")
@pytest.mark.parametrize("header", [b"", b"3 2\n"])
def test_text_that_is_cut_short(header, write, command):
    cut = TEXT[: TEXT.rindex(b" ")]
    reads_the_first_rows(write(header + cut), 2, command)


@follows("formats/word2vec.py", "vectors of {vector_size} numbers, but")
def test_binary_with_fewer_rows_than_promised(write, command):
    reads_the_first_rows(write(BINARY[:-3]), 1, command)


@follows("formats/word2vec.py", "but more bytes follow")
def test_binary_with_more_rows_than_promised(write, command):
    reads_the_first_rows(write(b"1" + BINARY[1:]), 1, command)


@follows("formats/common/text_layout.py", "separates the word from its numbers")
def test_another_separator_after_the_word(write, command, tmp_path):
    path, out = write(b"king,1 2\nqueen,3 4\n"), tmp_path / "out.txt"
    message = refused(fe.load_vectors, path)
    assert message.endswith("or, if it is part of the words, use load_vectors(path, vector_size=1)")
    assert fe.load_vectors(path, vector_size=1).index_to_key == ["king,1", "queen,3"]
    message = refused_command(command, "convert", path, out)
    assert message.endswith(
        "; replace it with a space, or, if it is part of the words, pass --vector-size 1"
    )
    assert converts(command, path, tmp_path / "out.bin", "--vector-size", 1)
    path.write_bytes(path.read_bytes().replace(b",", b" "))
    assert converts(command, path, out)
    assert fe.load_vectors(path).index_to_key == ["king", "queen"]


@follows("formats/common/text_layout.py", "the vector size is in doubt")
def test_two_vector_sizes(write, command, tmp_path):
    path, out = write(b"new york 1 2\nking 3 4\n"), tmp_path / "out.safetensors"
    message = refused(fe.load_vectors, path)
    advice = "if words contain spaces, use load_vectors(path, vector_size=2); if not, remove"
    assert f"; {advice} the damaged lines" in message
    assert fe.load_vectors(path, vector_size=2).index_to_key == ["new york", "king"]
    message = refused_command(command, "convert", path, out)
    assert message.endswith("spaces, pass --vector-size 2; if not, remove the damaged lines")
    assert converts(command, path, out, "--vector-size", 2)
    path.write_bytes(b"king 3 4\n")
    assert converts(command, path, out, "--overwrite")


@follows("formats/common/text_mistakes.py", "if words contain spaces, ")
def test_names_without_a_header(write, command, tmp_path):
    path, out = write(b"Ada Lovelace 1 2\nAlan Turing 3 4\n"), tmp_path / "out.safetensors"
    message = refused(fe.load_vectors, path)
    assert message.endswith("; if words contain spaces, use load_vectors(path, vector_size=2)")
    assert fe.load_vectors(path, vector_size=2).index_to_key == ["Ada Lovelace", "Alan Turing"]
    message = refused_command(command, "convert", path, out)
    assert message.endswith("; if words contain spaces, pass --vector-size 2")
    assert converts(command, path, out, "--vector-size", 2)


@pytest.mark.parametrize(
    ("data", "remedy", "followed"),
    [
        (b"king,1,0.5\nqueen,1,-0.5\n", "replace each ',' with a space", (b",", b" ")),
        (b"king 1:1 2:0.5\n", "write all values of each row, zeros included", (b"1:1 2:", b"1 ")),
        (b"king  1  0.5\nqueen  1  -0.5\n", "write single spaces: sed -E", (b"  ", b" ")),
    ],
)
@follows("formats/common/text_mistakes.py", "where=where, remedy=remedy")
def test_text_that_is_no_text_of_vectors_yet(data, remedy, followed, write):
    path = write(data)
    assert f"; {remedy}" in refused(fe.load_vectors, path)
    assert fe.load_vectors(write(data.replace(*followed))).index_to_key[0] == "king"


@follows("formats/common/text_mistakes.py", "there are no words")
def test_numbers_without_words(write, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(b"1.5 0.5\n1.25 -0.5\n0.25 0.5\n")
    message = refused(fe.load_vectors, path)
    saving = "numpy.save('vectors.npy', numpy.loadtxt(path))"
    assert message.endswith(f"load_numpy('vectors.npy', words=...), after {saving}")
    np.save("vectors.npy", np.loadtxt(path))
    assert fe.load_numpy("vectors.npy", words=WORDS).index_to_key == WORDS
    message = refused_command(command, "convert", path, "out.bin")
    assert message.endswith(
        "; put each word before its numbers: paste -d ' ' WORDS FILE > NEW_FILE"
    )
    Path("words").write_text("\n".join(WORDS) + "\n")
    with open("new", "wb") as file:
        subprocess.run(["paste", "-d", " ", "words", path], stdout=file, check=True)
    assert converts(command, "new", "out.bin")


@follows("formats/common/text_layout.py", "contradicts the header")
def test_a_vector_size_that_contradicts_the_header(write):
    path = write(b"3 2\n" + TEXT)
    message = refused(fe.load_vectors, path, vector_size=3)
    assert message.endswith("; leave vector_size out, or correct the header")
    assert fe.load_vectors(path).vector_size == 2


@follows("formats/glove.py", "is a header")
def test_word2vec_text_loaded_as_glove(write):
    path = write(b"3 2\n" + TEXT)
    assert refused(fe.load_glove, path).endswith("; use load_word2vec(path)")
    assert fe.load_word2vec(path).index_to_key == WORDS


@follows("formats/word2vec.py", "there is no header line")
def test_glove_text_loaded_as_word2vec(write):
    path = write(TEXT)
    message = refused(fe.load_word2vec, path)
    assert message.endswith("; if it is GloVe text, use load_glove(path)")
    assert fe.load_glove(path).index_to_key == WORDS


@follows("formats/word2vec.py", "pass ")
def test_binary_loaded_as_text(golden):
    path = golden / "tiny.word2vec.bin"
    assert refused(fe.load_word2vec, path, binary=False).endswith("; pass binary=True")
    assert len(fe.load_word2vec(path, binary=True)) == 5


# Words that a format can't hold


def saves_any_word(words: list[str], save, to: str, folder: Path, command) -> str:
    """Follow the remedy that saves words in another format; return the error message."""
    table = fe.EmbeddingTable(words, VECTORS[:2])
    path, out = folder / "vectors.safetensors", folder / "out"
    message = refused(save, table, out)
    assert "; use save_safetensors(table, path), which holds any word" in message
    fe.save_safetensors(table, path)
    assert fe.load_vectors(path).index_to_key == words
    on_command_line = refused_command(command, "convert", path, out, "--to", to)
    assert on_command_line.endswith("; use --to safetensors, which holds any word")
    assert converts(command, path, out, "--to", "safetensors")
    return message


@follows("formats/common/saving.py", "words contain {character!r}")
def test_words_with_spaces_in_word2vec(tmp_path, command):
    words = ["a b", "c"]
    message = saves_any_word(words, fe.save_word2vec, "word2vec", tmp_path, command)
    call = "table.subset(k for k in table.index_to_key if ' ' not in k)"
    assert message.endswith(f", or remove these words: {call}")
    table = fe.EmbeddingTable(words, VECTORS[:2])
    fe.save_word2vec(table.subset(k for k in table.index_to_key if " " not in k), tmp_path / "out")


@follows("formats/arrow/__init__.py", "are not UTF-8")
def test_words_that_are_not_utf8_in_arrow(tmp_path, command):
    saves_any_word(["\udcff", "c"], fe.save_arrow, "arrow", tmp_path, command)


@follows("formats/glove.py", "words contain no space")
def test_words_with_spaces_in_glove(tmp_path, command):
    saves_any_word(["a b", "c"], fe.save_glove, "glove", tmp_path, command)


@follows("formats/glove.py", "starts like a byte order mark")
def test_a_first_word_like_another_format(tmp_path, command):
    saves_any_word(["BZh", "c"], fe.save_glove, "glove", tmp_path, command)


@follows("formats/glove.py", "end in {mark!r} and a number")
def test_words_that_end_like_numbers(tmp_path, command):
    table = fe.EmbeddingTable(["1,5", "x,2"], VECTORS[:2])
    path, out = tmp_path / "v.safetensors", tmp_path / "v.txt"
    assert refused(fe.save_glove, table, out).endswith("; use save_word2vec(table, path)")
    fe.save_word2vec(table, out)
    assert fe.load_vectors(out).index_to_key == ["1,5", "x,2"]
    fe.save_safetensors(table, path)
    message = refused_command(command, "convert", path, out, "--overwrite")
    assert message.endswith("; use --to word2vec")
    assert converts(command, path, out, "--to", "word2vec", "--overwrite")


@pytest.mark.parametrize("size", [2, 5])
@follows("formats/word2vec.py", "look like ")
def test_words_that_look_like_damage_in_a_binary(tmp_path, size):
    words = ["a", "b", "c", "d", "\x07x"]
    vectors = np.full((5, size), 0.5, np.float32)
    vectors[4] = 1e30
    table, path = fe.EmbeddingTable(words, vectors), tmp_path / "v.safetensors"
    message = refused(lambda: fe.save_word2vec(table, tmp_path / "out", binary=True))
    assert message.endswith("; use save_safetensors(table, path), which holds any word")
    fe.save_safetensors(table, path)
    assert fe.load_vectors(path).index_to_key == words


@follows("formats/word2vec.py", "would take the numbers for")
def test_numbers_that_look_like_another_type(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32).byteswap()
    table, path = fe.EmbeddingTable(list("abcd"), vectors), tmp_path / "v.safetensors"
    message = refused(lambda: fe.save_word2vec(table, tmp_path / "out", binary=True))
    assert "take the numbers for big-endian float32; use save_safetensors(table" in message
    fe.save_safetensors(table, path)
    assert fe.load_vectors(path).vectors.tobytes() == vectors.tobytes()


@follows("formats/glove.py", "readers would refuse")
def test_words_that_look_like_values_in_glove(tmp_path, command):
    saves_any_word(["1.25", "0.75"], fe.save_glove, "glove", tmp_path, command)


# safetensors and static models


@follows("formats/safetensors.py", "was not written by this library")
def test_tensors_without_words(golden, tmp_path, command):
    path, out = tmp_path / "t.safetensors", tmp_path / "out.bin"
    save_file({"x": VECTORS}, path)
    message = refused(fe.load_vectors, path)
    assert message.endswith("; pair its tensor with its words: EmbeddingTable(words, vectors)")
    assert fe.EmbeddingTable(WORDS, VECTORS)["queen"].tolist() == [1.0, -0.5]
    message = refused_command(command, "convert", path, out)
    assert message.endswith(" with numpy.savez('vectors.npz', vectors=vectors, words=words)")
    np.savez(tmp_path / "vectors.npz", vectors=VECTORS, words=WORDS)
    assert converts(command, tmp_path / "vectors.npz", out)
    folder = golden / "static" / "model2vec"
    message = refused(fe.load_vectors, folder / "model.safetensors")
    assert message.endswith("; load a static embedding model from its folder: load_static(folder)")
    assert len(fe.load_static(folder)) == 8
    message = refused_command(command, "convert", folder / "model.safetensors", "x.bin")
    assert "; pass the folder of the static embedding model" in message
    assert converts(command, folder, tmp_path / "out.npz")


@follows("formats/static_model.py", "is of type {found}")
def test_a_static_model_of_bfloat16(tmp_path):
    vocab = {"model": {"vocab": {word: number for number, word in enumerate(WORDS)}}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(vocab))
    path = tmp_path / "model.safetensors"
    save_torch({"embeddings": torch.tensor(VECTORS).to(torch.bfloat16)}, path)
    message = refused(fe.load_static, tmp_path)
    assert message.endswith("for example with model.to(torch.float32), and save it again")
    model = load_file(path)["embeddings"]
    save_torch({"embeddings": model.to(torch.float32)}, path)
    assert fe.load_static(tmp_path).index_to_key == WORDS


# numpy


def saved(path: Path, array: object) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


@follows("formats/common/npy.py", "but at least")
def test_an_array_followed_by_another(tmp_path, write):
    path = saved(tmp_path / "v.npy", VECTORS)
    path.write_bytes(path.read_bytes() * 2)
    message = refused(fe.load_numpy, path, words=WORDS)
    assert message.endswith("; save the array in a file of its own: numpy.save(path, array)")
    np.save(path, VECTORS)
    assert fe.load_numpy(path, words=WORDS).index_to_key == WORDS


@follows("formats/numpy_arrays/archive_words.py", "can be the {name}")
def test_an_archive_of_several_arrays(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, a=VECTORS, b=VECTORS, words=WORDS)
    advice = "; save it with numpy.savez(path, vectors=vectors, words=words): an array (V, D)"
    assert advice in refused(fe.load_vectors, path)
    np.savez(path, vectors=VECTORS, words=WORDS)
    assert fe.load_vectors(path).index_to_key == WORDS


@follows("formats/numpy_arrays/archive_words.py", "this holds Python objects")
def test_an_archive_of_objects(tmp_path, command):
    path, out = tmp_path / "v.npz", tmp_path / "out.bin"
    np.savez(path, vectors=VECTORS, words=np.array(WORDS, object))
    message = refused(fe.load_vectors, path)
    advice = "load it with numpy.load(path, allow_pickle=True) and"
    assert message.endswith(f"{advice} pass EmbeddingTable(list(words), vectors)")
    with np.load(path, allow_pickle=True) as archive:
        words, vectors = archive["words"], archive["vectors"]
    assert fe.EmbeddingTable(list(words), vectors).index_to_key == WORDS
    message = refused_command(command, "convert", path, out)
    call = "numpy.savez(path, vectors=vectors, words=list(words))"
    assert message.endswith(f"{advice} save it with {call}")
    np.savez(path, vectors=vectors, words=list(words))
    assert converts(command, path, out)


@follows("formats/numpy_arrays/__init__.py", "vectors without words")
def test_an_array_without_words(tmp_path, command):
    path, out = saved(tmp_path / "v.npy", VECTORS), tmp_path / "out.bin"
    message = refused(fe.load_vectors, path)
    calls = "load_numpy(path, words=['the', ...]) or load_numpy(path, words='words.txt')"
    assert message.endswith(f"; pass them: {calls}")
    assert fe.load_numpy(path, words=WORDS).index_to_key == WORDS
    listed = tmp_path / "list"
    listed.write_text("\n".join(WORDS))
    assert fe.load_numpy(path, words=listed).index_to_key == WORDS
    message = refused_command(command, "convert", path, out)
    assert message.endswith("; write them to v.words, one per line")
    listed.rename(tmp_path / "v.words")
    assert converts(command, path, out)


@follows("formats/numpy_arrays/archive_words.py", 'words",')
def test_a_word_list_of_another_array(tmp_path, command):
    path, listed = saved(tmp_path / "v.npy", VECTORS), tmp_path / "v.words"
    listed.write_text("king")
    message = refused(fe.load_vectors, path)
    assert message.endswith("; pass the list that belongs to it: load_numpy(path, words=...)")
    assert fe.load_numpy(path, words=WORDS).index_to_key == WORDS
    message = refused_command(command, "convert", path, tmp_path / "out.bin")
    assert message.endswith("v.words has 1 words; put the list that belongs to it there")
    listed.write_text("\n".join(WORDS))
    assert converts(command, path, tmp_path / "out.bin")


@follows("formats/numpy_arrays/wordlist.py", "not an array of words")
def test_a_word_list_of_objects(tmp_path):
    path = saved(tmp_path / "v.npy", VECTORS)
    words = saved(tmp_path / "w.npy", np.array(WORDS, object))
    message = refused(fe.load_numpy, path, words=words)
    assert message.endswith("; save it as one: numpy.save(path, numpy.array(words, dtype=str))")
    np.save(words, np.array(WORDS, dtype=str))
    assert fe.load_numpy(path, words=words).index_to_key == WORDS


# Arrow


@follows("formats/arrow/column_choice.py", "name the one to read")
def test_several_columns_of_strings(tmp_path, command):
    columns = {"de": WORDS, "en": WORDS[::-1], "vector": VECTORS.tolist()}
    dataset, path = datasets.Dataset.from_dict(columns), tmp_path / "v.parquet"
    dataset.to_parquet(path)
    message = refused(fe.load_vectors, path)
    assert message.endswith("; name the one to read: load_arrow(source, token=...)")
    assert fe.load_arrow(path, token="en").index_to_key == WORDS[::-1]
    message = refused_command(command, "convert", path, tmp_path / "out.bin")
    assert message.endswith("; rename the one to read to 'token'")
    dataset.rename_column("en", "token").to_parquet(path)
    assert converts(command, path, tmp_path / "out.bin")


def changed_state(folder: Path, **state: object) -> None:
    path = folder / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **state}))


@follows("formats/arrow/huggingface.py", "does not list the files")
def test_a_data_set_without_its_list_of_files(tmp_path, table):
    dataset, path = fe.to_dataset(table), tmp_path / "d"
    dataset.save_to_disk(path)
    changed_state(path, _data_files=[])
    message = refused(fe.load_vectors, path)
    assert message.endswith("; save the data set again: dataset.save_to_disk(path)")
    dataset.save_to_disk(path)
    assert fe.load_vectors(path).index_to_key == WORDS


@follows("formats/arrow/huggingface.py", "a selection of its rows")
def test_a_data_set_saved_with_a_selection(tmp_path, table):
    dataset, path = fe.to_dataset(table).select([2, 0]), tmp_path / "d"
    dataset.save_to_disk(path)
    changed_state(path, _indices_data_files=[{"filename": "indices.arrow"}])
    message = refused(fe.load_vectors, path)
    assert message.endswith(" rows: dataset.flatten_indices().save_to_disk(new_path)")
    dataset.flatten_indices().save_to_disk(tmp_path / "new")
    assert fe.load_vectors(tmp_path / "new").index_to_key == ["man", "king"]


# Smaller numbers and shards


@follows("table/coding.py", "which is in row")
def test_a_number_too_large_for_float16(write, command, tmp_path):
    table, path = fe.EmbeddingTable(["a"], [[70_000.0]]), tmp_path / "v.safetensors"
    message = refused(fe.save_safetensors, table, path, dtype="float16")
    assert message.endswith("; use dtype='float32'")
    fe.save_safetensors(table, path, dtype="float32")
    source = write(b"a 70000 1\nb 1 2\n")
    out = tmp_path / "out.safetensors"
    message = refused_command(command, "convert", source, out, "--dtype", "float16")
    assert message.endswith("; use --dtype float32")
    assert converts(command, source, out, "--dtype", "float32")


@follows("table/coding.py", "that is not finite")
def test_a_number_that_int8_cannot_hold(tmp_path):
    table, path = fe.EmbeddingTable(["a"], [[np.inf]]), tmp_path / "v.safetensors"
    message = refused(fe.save_safetensors, table, path, dtype="int8")
    assert message.endswith("; use dtype='float16'")
    fe.save_safetensors(table, path, dtype="float16")
    assert fe.load_vectors(path).vectors.tolist() == [[np.inf]]


def test_a_dtype_that_is_none(table, command, write, tmp_path):
    message = refused(fe.save_safetensors, table, tmp_path / "v", dtype="int4")
    assert message.endswith("; choose one, such as dtype='float32'")
    fe.save_safetensors(table, tmp_path / "v", dtype="float32")
    assert fe.load_vectors(tmp_path / "v").vectors.tolist() == VECTORS.tolist()


@follows("formats/common/shards.py", "must be a number of bytes")
def test_a_size_of_shards_that_is_none(write, command, tmp_path):
    source, out = write(TEXT), tmp_path / "out"
    message = refused_command(command, "convert", source, out, "--shard-size", "big")
    assert message.endswith("; give, for example, --shard-size 2GB")
    assert converts(command, source, out, "--shard-size", "2GB")


@follows("formats/common/shards.py", "may not open")
def test_too_many_shards(table, tmp_path, monkeypatch):
    monkeypatch.setattr("finetune_embed.formats.common.shards.MOST", 3)
    message = refused(fe.save_safetensors, table, tmp_path / "v", shard_size=8)
    assert message.endswith("; give a larger shard_size")
    fe.save_safetensors(table, tmp_path / "v", shard_size=16)
    assert len(list((tmp_path / "v").iterdir())) == 4


@follows("cli/convert.py", "is for {wanted_format}, not for")
def test_a_dtype_of_another_format(write, command, tmp_path):
    source, out = write(TEXT), tmp_path / "out.bin"
    message = refused_command(command, "convert", source, out, "--dtype", "int8")
    assert message.endswith("; leave --dtype out, or give --to safetensors")
    assert converts(command, source, out)
    assert converts(command, source, tmp_path / "x", "--dtype", "int8", "--to", "safetensors")
    given = (source, tmp_path / "vec", "--to", "word2vec")
    message = refused_command(command, "convert", *given, "--lang", "en")
    assert message.endswith("is for spacy, not for word2vec; leave --lang out, or give --to spacy")
    assert converts(command, *given)
    assert converts(command, source, tmp_path / "pipeline", "--lang", "en", "--to", "spacy")


@pytest.mark.slow  # imports spaCy
@follows("formats/spacy_vectors/pipeline.py", "is not a language that spaCy has")
def test_a_language_that_spacy_does_not_have(table, write, command, tmp_path):
    message = refused(fe.save_spacy, table, tmp_path / "v", lang="english")
    assert message.endswith("; pass its code, such as en, or lang='xx' for any language")
    fe.save_spacy(table, tmp_path / "en", lang="en")
    fe.save_spacy(table, tmp_path / "xx", lang="xx")
    source, out = write(TEXT), tmp_path / "out"
    message = refused_command(command, "convert", source, out, "--to", "spacy", "--lang", "english")
    assert message.endswith("; pass its code, such as en, or --lang xx for any language")
    assert converts(command, source, out, "--to", "spacy", "--lang", "xx")


@pytest.mark.slow
@follows("formats/spacy_vectors/pipeline.py", "can't be split into tokens")
def test_a_language_whose_tokenizer_needs_a_package(table, tmp_path, missing):
    missing("sudachipy")
    message = refused(fe.save_spacy, table, tmp_path / "v", lang="ja")
    assert "lang='ja' can't be split into tokens: " in message
    assert "requires SudachiPy and SudachiDict-core. Install with `pip install sudachipy" in message
    assert message.endswith("; install what it needs, or pass lang='xx'")
    fe.save_spacy(table, tmp_path / "v", lang="xx")
