"""Files of other kinds are named wherever a file of vectors, words or settings is expected."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from packing import tarred, zipped
from safetensors.numpy import save

import finetune_embed as fe
from finetune_embed import VectorFileError, load_vectors
from finetune_embed.files import foreign_kind, is_binary, open_source

TEXT = b"king 1 2\nqueen 3 4\n"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4cac19622fc3ada9c0\nsize 1078\n"
NOISE = np.random.default_rng(0).integers(0, 256, 4096, np.uint8).tobytes()


def saved_by_torch(value: object, new: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


CACHE = (["king", "queen"], {"king": 0, "queen": 1}, torch.ones(2, 3), 3)  # as torchtext saves it
PAGE = "this is a web page"
SENT = "this is the error that a web server sent"
KINDS = {
    "lfs": (LFS, "this is a Git LFS pointer"),
    "lfs of hawser": (
        LFS.replace(b"git-lfs.github", b"hawser.github"),
        "this is a Git LFS pointer",
    ),
    "lfs, BOM": (b"\xef\xbb\xbf\r\n" + LFS, "this is a Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--12.bin\n", "this is a pointer of git-annex or Xet"),
    "html": (b"<!doctype html><html><head></head></html>", PAGE),
    "html, upper": (b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">\n<HTML>', PAGE),
    "html, BOM": (b"\xef\xbb\xbf\n\n  <HTML lang=en>\n<Body>1 2 3</Body></HTML>", PAGE),
    "html, nginx": (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n", PAGE),
    "html, comment": (b"<!-- saved from x -->\n<!DOCTYPE html>", PAGE),
    "html, UTF-16": ("\n<!DOCTYPE html>\n<p>1 2 3</p>".encode("utf-16"), PAGE),
    "html, UTF-16LE": ("<html>\n<p>é</p>".encode("utf-16-le"), PAGE),
    "html, UTF-16BE": (b"\xfe\xff" + "<HTML>".encode("utf-16-be"), PAGE),
    "html, bare UTF-16BE": ("<!DOCTYPE html>".encode("utf-16-be"), PAGE),
    "s3, UTF-16": ("<Error><Code>NoKey</Code></Error>".encode("utf-16"), rf"{SENT} \(NoKey\)"),
    "line, UTF-16": ("404: Not Found".encode("utf-16-le"), rf"{SENT} \(404: Not Found\)"),
    "json, UTF-16": ('{"message": "Not Found"}'.encode("utf-16"), rf"{SENT} \(Not Found\)"),
    "lfs, UTF-16": (LFS.decode().encode("utf-16"), "this is a Git LFS pointer"),
    "xhtml": (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">', PAGE),
    "s3": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", rf"{SENT} \(NoSuchKey\)"),
    "azure": (
        b"\xef\xbb\xbf<?xml version='1'?><Error><Code>Gone</Code></Error>",
        rf"{SENT} \(Gone",
    ),
    "error": (b"\n<error>\n<message>Too many</message></error>", rf"{SENT} \(Too many\)"),
    "xml": (b"<?xml version='1.0'?>\n<words>1 2</words>", "this is an XML document"),
    "json": (b'{"error": "Access denied"}', rf"{SENT} \(Access denied\)"),
    "json, nested": (b' {"error": {"code": 404, "message": "none"}}\n', rf"{SENT} \(none\)"),
    "json, detail": (b'\xef\xbb\xbf{\r\n "detail": "Not authenticated"}', rf"{SENT} \(Not auth"),
    "json, github": (b'{"message": "Not Found", "status": "404"}', rf"{SENT} \(Not Found\)"),
    "line": (b"404: Not Found", rf"{SENT} \(404: Not Found\)"),
    "line of the hub": (b"Entry not found\n", rf"{SENT} \(Entry not found\)"),
    "http": (b"HTTP/1.1 302 Found\r\nLocation: x\r\n", "this is the answer of a web server"),
    "torch": (saved_by_torch(CACHE, True), "this is a file written by torch.save"),
    "torch, old": (saved_by_torch(CACHE, False), "this is a file written by torch.save"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + NOISE, "this is a 7z archive"),
    "rar": (b"Rar!\x1a\x07\0" + NOISE, "this is a RAR archive"),
    "lz4": (b"\x04\x22\x4d\x18" + NOISE, "this is an lz4 file"),
    "feather 1": (b"FEA1" + NOISE + b"FEA1", "this is a Feather file of version 1"),
    "gguf": (b"GGUF\3\0\0\0" + NOISE, "this is a GGUF model"),
    "lzma": (lzma.compress(TEXT, lzma.FORMAT_ALONE), "this is an lzma file of the old format"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0\0" + NOISE, "this is an HDF5 file"),
    "sqlite": (b"SQLite format 3\0" + NOISE, "this is an SQLite database"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + NOISE, "this is a PDF file"),
    "office": (
        zipped(("[Content_Types].xml", b"<x/>"), ("xl/a.xml", b"")),
        "this is an Office doc",
    ),
    "keras": (zipped(("config.json", b"{}"), ("model.weights.h5", NOISE)), "this is a Keras model"),
}
#: Kinds that are recognised by their place: pickles are read by one loader, noise by none.
ELSEWHERE = {
    "pickle": (pickle.dumps({"king": [1.0]}, 4), "this is a Python pickle"),
    "noise": (NOISE, "this is a binary file of unknown kind"),
}


def static_model(folder: Path) -> Path:
    tokenizer = {"model": {"vocab": {"king": 0, "queen": 1}}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    vectors = np.ones((2, 3), np.float32)
    (folder / "model.safetensors").write_bytes(save({"embedding.weight": vectors}))
    module = {"idx": 0, "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder


def spacy_vectors(folder: Path) -> Path:
    fe.save_spacy(fe.EmbeddingTable(["king", "queen"], np.ones((2, 3), np.float32)), folder / "v")
    return folder / "v"


def with_words(name: str, words: bytes):
    def make(folder: Path) -> Path:
        np.save(folder / "v.npy", np.ones((2, 3), np.float32))
        (folder / name).write_bytes(words)
        return folder / "v.npy"

    return make


def data_set(folder: Path) -> Path:
    table = fe.EmbeddingTable(["king", "queen"], np.ones((2, 3), np.float32))
    fe.to_dataset(table).save_to_disk(folder / "d")
    return folder / "d"


#: Folders, and the files in them that the loaders read.
FOLDERS = [
    (static_model, ("tokenizer.json", "model.safetensors", "modules.json")),
    (spacy_vectors, ("key2row", "vectors", "strings.json", "vectors.cfg")),
    (with_words("v.words", b"king\nqueen\n"), ("v.npy", "v.words")),
    (with_words("vocab.json", b'["king", "queen"]'), ("vocab.json",)),
    (data_set, ("state.json", "data-00000-of-00001.arrow")),
]
SLOTS = [(make, name) for make, names in FOLDERS for name in names]


@pytest.mark.parametrize("kind", KINDS | ELSEWHERE)
def test_a_file_of_another_kind_is_named(write, kind):
    data, named = (KINDS | ELSEWHERE)[kind]
    for packed in (data, gzip.compress(data)):
        for load in (load_vectors, fe.load_glove, fe.load_safetensors, fe.inspect):
            if (load, kind) == (fe.inspect, "pickle"):
                continue  # it reports what it can't read
            with pytest.raises(VectorFileError, match=named):
                load(write(packed))
    for pack in (zipped, tarred):
        with pytest.raises(VectorFileError, match=named):
            load_vectors(write(pack(("vectors.txt", data))))


@pytest.mark.parametrize(("make", "name"), SLOTS, ids=[name for _, name in SLOTS])
def test_in_each_file_of_a_folder(tmp_path, make, name):
    path = make(tmp_path)
    assert load_vectors(path).index_to_key == ["king", "queen"]
    part = (path if path.is_dir() else path.parent) / name
    for data, named in KINDS.values():
        part.unlink()  # a map of it may be open
        part.write_bytes(data)
        with pytest.raises(VectorFileError, match=named) as caught:
            load_vectors(path)
        assert caught.value.where.startswith(str(part))


@pytest.mark.parametrize("name", ["tokenizer.json", "strings.json", "v.words", "vocab.json"])
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_pickle_or_noise_among_the_words(tmp_path, name, kind):
    make = next(make for make, slot in SLOTS if slot == name)
    path = make(tmp_path)
    data, named = ELSEWHERE[kind]
    ((path if path.is_dir() else path.parent) / name).write_bytes(data)
    with pytest.raises(VectorFileError, match=rf"{name}: {named}, not "):
        load_vectors(path)


WORDS = [
    b"<html>",
    b"<s>",
    b"<Error>",
    b"{",
    b"GGUF",
    b"FEA1",
    b"%PDF-1.7",
    b"404:",
    b"HTTP/",
    b"FiFu",
]


@pytest.mark.parametrize("word", WORDS)
def test_words_that_start_like_another_kind_are_read(write, word):
    data = word + b" 1 2\n</s> 3 4\n"
    assert load_vectors(write(data)).index_to_key == [word.decode(), "</s>"]
    assert load_vectors(write(b"2 2\n" + data)).index_to_key == [word.decode(), "</s>"]


def test_word_lists_that_start_like_another_kind_are_read(tmp_path):
    for words in (["<s>", "</s>"], ["{", "x"], ["not", "found"], ["GGUF", "<unk>"]):
        path = with_words("v.words", "\n".join(words).encode())(tmp_path)
        assert load_vectors(path).index_to_key == words
    path = with_words("vocab.json", b'{"error": 0, "message": 1}')(tmp_path)
    (tmp_path / "v.words").unlink()
    assert load_vectors(path).index_to_key == ["error", "message"]


def test_what_is_not_binary():
    for text in (
        TEXT,
        "naïve 1 2\n".encode("latin-1") * 9,
        "слово 1\n".encode("cp1251"),
        b"\xff 1\n",
    ):
        assert not is_binary(text)
        assert foreign_kind(text, is_whole=True) is None


def test_a_model_of_sent2vec_is_named(write):
    golden = Path(__file__).parent.parent / "golden"
    data = bytearray((golden / "tiny.fasttext-skipgram.bin").read_bytes())
    data[8 + 4 * 7] = 4
    with pytest.raises(VectorFileError, match="this is a sent2vec model, which is not read here"):
        load_vectors(write(bytes(data)))


def test_a_member_of_a_file_of_torch_is_not_offered(write):
    data = saved_by_torch(CACHE, True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    for name in names:
        with (
            pytest.raises(VectorFileError, match=r"torch\.save.*; read its words and"),
            open_source(write(data), name),
        ):
            pass
