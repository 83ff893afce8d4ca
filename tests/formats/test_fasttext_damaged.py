"""Damaged fastText models, made byte by byte: each gives one clear error."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import VectorFileError, load_fasttext, load_vectors
from finetune_embed.formats.fasttext.dictionary import MAX_WORD

MAGIC = 793712314
ENTRIES = ((b"</s>", 4, 0), ("né".encode(), 3, 0), (b"__label__x", 2, 1))
DIM, BUCKET = 2, 3
ARGS = {
    "dim": DIM,
    "ws": 5,
    "epoch": 5,
    "minCount": 1,
    "neg": 5,
    "wordNgrams": 1,
    "loss": 2,
    "model": 3,
    "bucket": BUCKET,
    "minn": 2,
    "maxn": 3,
    "lrUpdateRate": 100,
}
ROWS = np.arange(10, dtype="<f4").reshape(5, 2)  # two words, three n-grams
CENTROIDS = np.arange(512, dtype="<f4")


def arguments(**changed: int):
    return struct.pack("<12id", *(ARGS | changed).values(), 1e-4)


def dictionary(size=3, nwords=2, nlabels=1, pruned=-1, entries=ENTRIES, pairs=()):
    data = struct.pack("<3i2q", size, nwords, nlabels, 9, pruned)
    for word, count, kind in entries:
        data += word + b"\0" + struct.pack("<qB", count, kind)
    return data + b"".join(struct.pack("<2i", *pair) for pair in pairs)


def dense(rows=ROWS, shape=None):
    return struct.pack("<2q", *(shape or rows.shape)) + rows.tobytes()


def quantiser(dim=2, parts=1, dsub=2, last=2, centroids=CENTROIDS):
    return struct.pack("<4i", dim, parts, dsub, last) + centroids.tobytes()


def quantised(rows=5, dim=DIM, size=5, codes=b"\0\1\2\3\4", pq=None, norms=None):
    data = struct.pack("<B2qi", norms is not None, rows, dim, size) + codes
    return data + (quantiser() if pq is None else pq) + (norms or b"")


def model(
    start=None, args=None, words=None, mark=0, matrix=None, output_mark=0, output=None, end=b""
):
    parts = [
        struct.pack("<2i", MAGIC, 12) if start is None else start,
        arguments() if args is None else args,
        dictionary() if words is None else words,
        bytes([mark]),
        dense() if matrix is None else matrix,
        bytes([output_mark]),
        dense(np.zeros((1, 2), "<f4")) if output is None else output,
        end,
    ]
    return b"".join(parts)


NORMS = bytes(5) + quantiser(1, 1, 1, 1, CENTROIDS[:256])
SOUND = model()
PACKED = model(mark=1, matrix=quantised(norms=NORMS), output_mark=1, output=quantised(norms=NORMS))
PRUNED = model(
    words=dictionary(pruned=2, pairs=((2, 0), (0, 1))),
    mark=1,
    matrix=quantised(4, size=4, codes=b"\0\1\2\3"),
)
UNSIGNED = model(start=b"").replace(struct.pack("<q", -1), b"")
UNSIGNED = UNSIGNED[:123] + UNSIGNED[124:180] + UNSIGNED[181:]


def test_sound_models_are_read():
    table = load_vectors(io.BytesIO(SOUND))
    assert table.index_to_key == ["</s>", "né"]
    assert table["</s>"].tolist() == [0.0, 1.0]
    assert load_fasttext(io.BytesIO(PACKED))["</s>"].tolist() == [0.0, 0.0]  # of norm 0
    assert load_fasttext(io.BytesIO(PRUNED))["</s>"].tolist() == [0.0, 1.0]
    assert load_vectors(io.BytesIO(UNSIGNED)).vectors.tolist() == [[0.0, 1.0], [2.0, 3.0]]


def test_ngrams_by_hand():
    """`né` is `<né>`, of which the n-grams of 2 and 3 are `<n <né né né> é>`, in this order."""

    def bucket(ngram):
        value = 2166136261
        for byte in ngram.encode():
            value = (value ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619 % (1 << 32)
        return value % BUCKET

    total = ROWS[1].copy()
    for ngram in ("<n", "<né", "né", "né>", "é>"):
        total += ROWS[2 + bucket(ngram)]
    expected = (total * np.float32(1 / 6)).tolist()
    assert load_fasttext(io.BytesIO(SOUND))["né"].tolist() == expected


@pytest.mark.parametrize(
    "data", [SOUND, PACKED, PRUNED, UNSIGNED], ids=["sound", "packed", "pruned", "unsigned"]
)
def test_cut_short_at_every_byte(data, write):
    cuts = 0
    for cut in range(76, len(data), 1 if len(data) < 300 else 37):
        with pytest.raises(VectorFileError, match=rf"at byte [\d,]+: .*{cut:,}"):
            load_fasttext(io.BytesIO(data[:cut]))
        cuts += 1
    assert cuts > 50
    for cut in range(1, 76):
        with pytest.raises(VectorFileError):
            load_fasttext(io.BytesIO(data[:cut]))


HUGE = (1 << 31) - 1
CASES = {
    "version": (
        model(start=struct.pack("<2i", MAGIC, 13)),
        r"byte 4: .*version 13, but only .*; save it with fastText 0.9.2$",
    ),
    "version 10": (
        model(start=struct.pack("<2i", MAGIC, 10)),
        r"version 10, but only versions 11 and 12",
    ),
    "model": (
        model(args=arguments(model=4)),
        "byte 36: this is a sent2vec model, ",
    ),
    "dim 0": (model(args=arguments(dim=0)), r"byte 8: the header claims vectors of 0 numbers"),
    "dim huge": (model(args=arguments(dim=HUGE)), r"vectors of 2,147,483,647 numbers"),
    "dim other": (model(args=arguments(dim=4)), r"is 5 x 2, but .* promise 5 rows of 4"),
    "bucket": (model(args=arguments(bucket=-1)), r"byte 40: bucket is -1, not 0 to"),
    "bucket other": (model(args=arguments(bucket=4)), r"is 5 x 2, but .* promise 6 rows of 2"),
    "minn": (model(args=arguments(minn=-2)), r"byte 44: minn is -2"),
    "maxn": (model(args=arguments(maxn=1000)), r"byte 48: maxn is 1,000, not 0 to 64"),
    "size": (model(words=dictionary(size=4)), r"byte 64: .*4 entries, 2 words, 1 labels"),
    "negative": (model(words=dictionary(2, 3, -1)), r"2 entries, 3 words, -1 labels"),
    "no words": (model(words=dictionary(1, 0, 1, entries=ENTRIES[2:])), r"has 0 words"),
    "pruned -2": (model(words=dictionary(pruned=-2)), r"-2 pruned n-grams, which is impossible"),
    "pruned huge": (
        model(words=dictionary(pruned=1 << 62)),
        r"36,893,488,147,419,103,232 bytes are needed for the index of [\d,]+ pruned n-grams",
    ),
    "entries huge": (
        model(words=dictionary(HUGE, HUGE - 1, 1)),
        r"byte 92: 21,474,836,470 bytes are needed for the dictionary of 2,147,483,647 entries",
    ),
    "label first": (
        model(words=dictionary(entries=ENTRIES[::-1])),
        r"byte 111: entry 1 of the dictionary has the type 1, but the header",
    ),
    "type": (model(words=dictionary(entries=(*ENTRIES[:2], (b"x", 1, 7)))), r"entry 3 .* type 7"),
    "count": (model(words=dictionary(entries=((b"a", -5, 0), *ENTRIES[1:]))), r"byte 94: .*-5"),
    "no NUL": (
        model(words=dictionary(entries=((b"a" * MAX_WORD, 1, 0), *ENTRIES[1:]))),
        r"byte 92: entry 1 of 3 of the dictionary has no NUL within 131,072 bytes",
    ),
    "pruned id": (
        PRUNED.replace(struct.pack("<4i", 2, 0, 0, 1), struct.pack("<4i", 2, 0, 3, 1)),
        r"byte 147: .* n-gram 3 the row 1, but there are 3 n-grams and 2 rows",
    ),
    "pruned row": (
        PRUNED.replace(struct.pack("<4i", 2, 0, 0, 1), struct.pack("<4i", 2, 2, 0, 1)),
        r"byte 139: the index of pruned n-grams gives n-gram 2 the row 2",
    ),
    "pruned, plain": (
        model(words=dictionary(pruned=1, pairs=((0, 0),)), matrix=dense(ROWS[:3])),
        r"pruned to 1, but the matrix is not quantised, so fastText rejects .*; fetch the current",
    ),
    "mark": (model(mark=2), r"byte 139: the flag of a quantised input matrix is 2, not 0 or 1"),
    "output mark": (model(output_mark=9), r"byte 196: the flag .*output matrix is 9"),
    "rows": (model(matrix=dense(ROWS[:4])), r"byte 140: the input matrix is 4 x 2, .* 5 rows of 2"),
    "columns": (model(matrix=dense(shape=(5, 3))), r"the input matrix is 5 x 3, but"),
    "rows negative": (model(matrix=dense(shape=(-5, 2))), r"the input matrix is -5 x 2"),
    "rows huge": (
        model(output=dense(shape=(1 << 60, 2))),
        r"bytes are needed for the output matrix of 1,152,921,504,606,846,976 x 2",
    ),
    "output negative": (model(output=dense(shape=(-1, 2))), r"any number of rows of 2"),
    "output columns": (model(output=dense(shape=(1, 1))), r"the output matrix is 1 x 1, but"),
    "more": (model(end=b"x"), r"byte 221: the model ends here, but the file has 222 bytes"),
    "norms mark": (
        model(mark=1, matrix=b"\2" + quantised()[1:]),
        r"norms in the input matrix is 2",
    ),
    "codes": (model(mark=1, matrix=quantised(size=4, codes=bytes(4))), r"5 codes, but has 4"),
    "codes negative": (model(mark=1, matrix=quantised(size=-1, codes=b"")), r"5 codes, but has -1"),
    "codes huge": (model(mark=1, matrix=quantised(size=HUGE)), r"the 2,147,483,647 codes of the"),
    "dsub 0": (
        model(mark=1, matrix=quantised(pq=quantiser(dsub=0))),
        r"splits 2 numbers into 1 parts of 0, the last of 2, which does not add up to 2",
    ),
    "dsub huge": (
        model(mark=1, matrix=quantised(pq=quantiser(dsub=HUGE, last=1))),
        r"parts of 2,147,483,647, the last of 1",
    ),
    "parts": (model(mark=1, matrix=quantised(pq=quantiser(parts=2))), r"2 numbers into 2 parts"),
    "pq dim": (model(mark=1, matrix=quantised(pq=quantiser(dim=4))), r"splits 4 numbers"),
    "norms": (
        model(mark=1, matrix=quantised(norms=bytes(5) + quantiser())),
        r"the quantiser of the norms of the input matrix splits 2 numbers",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_damaged(name, write):
    data, message = CASES[name]
    path = write(data, "m.bin")
    tracemalloc.start()
    try:
        for load in (load_fasttext, load_vectors):
            with pytest.raises(VectorFileError, match=message) as caught:
                load(path)
            assert caught.value.where == str(path)
            assert caught.value.remedy is not None
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_other_formats_are_named(write, golden):
    for name, message in {
        "tiny.word2vec.bin": r"is a word2vec binary, not a fastText .* use load_word2vec\(path\)",
        "tiny.safetensors": r"is a safetensors file, not .* use load_safetensors\(path\)",
        "tiny.glove.txt": r"no header line .* use load_glove\(path\)",
    }.items():
        with pytest.raises(VectorFileError, match=message):
            load_fasttext(golden / name)
    with pytest.raises(VectorFileError, match=r"^limit=0 must be 1 or more; leave limit out"):
        load_fasttext(write(SOUND), limit=0)
    with pytest.raises(VectorFileError, match=r"^keys='a' is a single string; pass a list"):
        load_fasttext(write(SOUND), "a")


def words_model(*words: bytes, own: list[int] | None = None, **args: int):
    """Return a skipgram model of these words, their rows 0 or `own`, those of n-grams 0, 1, 2."""
    entries = [(word, 1, 0) for word in words]
    rows = np.zeros((len(words) + BUCKET, 2), "<f4")
    rows[-BUCKET:] = np.arange(BUCKET)[:, None]
    rows[:-BUCKET] = np.reshape(own or [0] * len(words), (-1, 1))
    return model(
        args=arguments(model=2, **args),
        words=dictionary(len(words), len(words), 0, entries=entries),
        matrix=dense(rows),
    )


def test_strange_words():
    words = [b"", b" ", b"\xff\x80\x80", b"a" * 100_000, b"\x80" * 100_000, b"a"]
    table = load_fasttext(io.BytesIO(words_model(*words)))
    assert table.index_to_key == [word.decode("utf-8", "surrogateescape") for word in words]
    assert table.metadata["non_utf8"] == "2"
    assert not np.isnan(table.vectors).any()


def test_duplicated_words_are_counted_and_the_first_wins():
    data = words_model(b"a", b"b", b"a", own=[7, 8, 9], maxn=0)
    table = load_fasttext(io.BytesIO(data))
    assert table.index_to_key == ["a", "b"]
    assert table.vectors.tolist() == [[7.0, 7.0], [8.0, 8.0]]
    assert table.metadata["duplicates"] == "1"
    assert load_fasttext(io.BytesIO(data), ["a"]).vectors.tolist() == [[7.0, 7.0]]


def test_a_word_of_too_many_ngrams():
    data = words_model(b"b", b"a" * 100_000, minn=1, maxn=64)
    message = r"entry 2 of the dictionary, at byte 103, has 100,000 bytes, so up to 6,400,128 n-"
    with pytest.raises(VectorFileError, match=message) as caught:
        load_fasttext(io.BytesIO(data))
    assert caught.value.where == "<file object>"
    table = load_fasttext(io.BytesIO(data), ["b"])
    assert table.subwords.compose(["c", "c" * 100_000])[1].tolist() == [True, False]


def test_no_bucket_and_no_ngrams_of_such_a_length():
    entries = [(b"a", 1, 0)]
    words = dictionary(1, 1, 0, entries=entries)
    row = np.array([[3, 4]], "<f4")
    data = model(args=arguments(model=1, bucket=0), words=words, matrix=dense(row))
    table = load_fasttext(io.BytesIO(data), ["a", "b"])
    assert (table.index_to_key, table.subwords) == (["a"], None)
    assert table["a"].tolist() == [3.0, 4.0]
    table = load_fasttext(io.BytesIO(words_model(b"a", minn=3, maxn=2)), ["a", "b"])
    assert (table.index_to_key, table.subwords) == (["a"], None)


def test_rows_that_are_not_finite_stay():
    rows = ROWS.copy()
    rows[0], rows[2:4] = np.nan, [[np.inf, 1], [-np.inf, 1]]
    table = load_fasttext(io.BytesIO(model(matrix=dense(rows))))
    assert np.isnan(table["</s>"]).all()
    assert not np.isfinite(table["né"][0])


@given(st.data())
def test_changed_bytes_give_a_table_or_one_error(data):
    original = data.draw(st.sampled_from([SOUND, PACKED, PRUNED, UNSIGNED]))
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(changed), 220) - 1))
        value = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255]))
        changed[at : at + 1] = bytes([value]) * data.draw(st.sampled_from([0, 1, 1, 1, 2, 4]))
    keys = data.draw(st.sampled_from([None, ["né", "no"]]))
    with contextlib.suppress(VectorFileError):
        assert load_fasttext(io.BytesIO(changed), keys).vector_size == DIM
