"""Which file of an archive or a folder is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest
from packing import tarred, zipped, zstd

import finetune_embed as fe
from finetune_embed import VectorFileError, load_vectors
from finetune_embed.files import open_source

TEXT = b"king 1 2\nqueen 3 4\n"
CLUTTER = [
    ".DS_Store",
    "__MACOSX/._vectors.txt",
    "__MACOSX/vectors.txt",
    "Thumbs.db",
    "THUMBS.DB",
    "data/ehthumbs.db",
    "desktop.ini",
    "Desktop.ini",
    "data/._x",
    ".Spotlight-V100/store",
]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("outer", [bytes, gzip.compress])
@pytest.mark.parametrize("name", CLUTTER)
def test_files_that_systems_add_do_not_count_in_archives(write, pack, outer, name):
    for members in ([(name, b"x"), ("v.txt", TEXT)], [("v.txt", TEXT), (name, b"x")]):
        path = write(outer(pack(*members)))
        assert load_vectors(path).index_to_key == ["king", "queen"]
        assert fe.inspect(path).words == 2
        with open_source(path, name) as source:  # unless one is asked for
            assert source.read(9) == b"x"


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._v.txt", "__MACOSX"])
@pytest.mark.parametrize("load", [load_vectors, fe.load_glove, fe.inspect])
def test_the_only_file_of_a_folder_is_read(tmp_path, name, load):
    folder = tmp_path / "f[1]*"
    folder.mkdir()
    (folder / "v.txt").write_bytes(TEXT)
    if name == "__MACOSX":
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(b"\0\0\0\1Bud1")
    found = load(folder)
    assert (found.words if load is fe.inspect else found.index_to_key) in (2, ["king", "queen"])
    (folder / "w.txt").write_bytes(TEXT)
    with pytest.raises(VectorFileError, match=r"folder.*(inside it: v\.txt, w\.txt|inside it)$"):
        load(folder)


def test_arrays_that_macos_packed_are_read(write):
    file = io.BytesIO()
    np.savez(file, vectors=np.ones((2, 3), np.float32), words=["king", "queen"])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__MACOSX/._vectors.npy", b"\0\5\x16\7")
    assert load_vectors(write(file.getvalue())).index_to_key == ["king", "queen"]


PAPERS = [("LICENSE", b"Apache License\nVersion 2.0\n"), ("README.md", b"# Read me 1\n")]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("outer", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d/vectors.txt", TEXT),
        ("model.vec", b"2 2\n" + TEXT),
        ("w.bin", b"1 1\nking \0\0\x80?"),
        ("big.txt", b"".join(b"w%d 1.5\n" % i for i in range(9_000))),
        ("inner.gz", gzip.compress(TEXT, mtime=0)),
    ],
)
def test_the_file_that_holds_vectors_is_proposed(write, pack, outer, name, data):
    orders = ([*PAPERS, (name, data)], [(name, data), *PAPERS])
    for members in orders:
        path = write(outer(pack(*members)))
        names = ", ".join(repr(member) for member, _ in members)
        with pytest.raises(VectorFileError) as caught:
            load_vectors(path)
        assert str(caught.value) == (
            f"{path}: the archive holds several files: {names}; name the one to read: "
            f"member={name!r}"
        )
        assert load_vectors(path, member=name).index_to_key[0] in ("king", "w0")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_without_vectors_proposes_none(write, pack):
    path = write(pack(("a.py", b"import b\n"), ("b.md", b"# Title\n")))
    message = "'a.py', 'b.md'; none of them looks like vectors; unpack it and pass the file of vec"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)


def test_an_archive_of_many_files_lists_some(write):
    path = write(zipped(*[(f"folder/part{i:04}.txt", TEXT) for i in range(2_000)]))
    with pytest.raises(VectorFileError, match=r"part0000.txt'.* and 1,?9\d\d more; name") as caught:
        load_vectors(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("names", ["s2v/key2row s2v/vectors s2v/cfg", "./a/b/modules.json ./a/b/x"])
def test_the_archive_of_a_folder_is_to_be_unpacked(write, names):
    for pack in (zipped, tarred):
        path = write(pack(*[(name, TEXT) for name in names.split()]))
        with pytest.raises(VectorFileError, match=r"; it is the folder of a model .*: unpack it"):
            load_vectors(path)


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_of_a_zip_archive(write, method):
    data = b"".join(b"w%d %d\n" % (i, i * i) for i in range(50_000))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("v.txt", data)
    packed = file.getvalue()
    with open_source(write(b"prefix" + packed)) as source:
        assert source.compression == ""  # a file that only ends in an archive
    for path in (write(packed), write(gzip.compress(packed))):
        with open_source(path) as source:
            assert bytes(source.read_all()) == data
    damaged = bytearray(packed)
    damaged[packed.index(b"PK\1\2") + 16] ^= 1  # the CRC-32 in the directory
    with (
        pytest.raises(VectorFileError, match=r"the zip data is damaged .*CRC"),
        open_source(write(bytes(damaged))) as source,
    ):
        source.read_all()


SKIPPED = b"\x5a\x2a\x4d\x18\x05\0\0\0hello"


@pytest.mark.parametrize("frames", [1, 3])
def test_frames_of_zstandard_without_data_are_skipped(write, frames):
    path = write(frames * SKIPPED + zstd(TEXT))
    assert load_vectors(path).index_to_key == ["king", "queen"]
    with open_source(path) as source:
        assert source.compression == "zstandard"


@pytest.mark.parametrize("log", [28, 30, 31])
@pytest.mark.parametrize("start", [b"", SKIPPED])
def test_a_window_of_zstandard_that_is_too_large(write, log, start):
    frame = b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3]) + zstd(TEXT)[6:]
    with pytest.raises(VectorFileError, match=rf"decompress it first: zstd -d --long={log} FILE$"):
        load_vectors(write(start + frame))


def test_a_dictionary_of_xz_that_is_too_large(write):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    path = write(lzma.compress(TEXT, lzma.FORMAT_XZ, filters=filters))
    with pytest.raises(VectorFileError, match=r"more memory .*; decompress it first: xz -d FILE$"):
        load_vectors(path)


def test_a_large_first_file_of_a_tar_is_read_before_the_others(write, monkeypatch):
    monkeypatch.setattr("finetune_embed.files.source.FIRST", 1_000)
    data = b"".join(b"w%d 1.5\n" % i for i in range(9_000))
    assert len(load_vectors(write(tarred(("v.txt", data), (".DS_Store", b"x"))))) == 9_000
    path = write(tarred(("v.txt", data), ("w.txt", TEXT), mode="w:gz"))
    message = r"vectors.txt: the archive holds several files: 'v.txt', 'w.txt'; .*member='v.txt'"
    with pytest.raises(VectorFileError, match=message):
        load_vectors(path)


def test_a_tar_of_old_torch_is_named(write):
    data = tarred(*[(name, b"x") for name in ("sys_info", "pickle", "storages", "tensors")])
    assert tarfile.is_tarfile(io.BytesIO(data))
    with pytest.raises(VectorFileError, match=r"this is a file written by torch\.save"):
        load_vectors(write(data))
