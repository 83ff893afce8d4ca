"""Any text is tokenized at once just as the `tokenizers` pipeline tokenizes it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import unicodedata
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_embed import Tokenizer, Vocabulary, VocabularyError
from finetune_embed.vocabulary import CASED, GLOVE, WHITESPACE, TokenizedTexts, tokenization
from finetune_embed.vocabulary.tokenizer import CONVENTIONS, well_formed

SPECIALS = ("<s>", "[Num]", "<s>>", "n't", "İ")
TOKENIZERS = {
    **CONVENTIONS,
    **{f"{name}+": replace(one, specials=SPECIALS) for name, one in CONVENTIONS.items()},
}
ODD = [
    *" \t\n\r\x1c\x1f\0aBz3'’.,-_!Σσςİıß\u0301\u0308\u0345\u0085\u00a0\u2028\u2000\u3000",
    *"\u200d\u200c\ufeff\u212b\u1e9b\u0958\u0344\ud800\udfff🙂日\u093f",
    "n't",
    "N'T",
    "u.s.",
    "\ud83d",
    "\ude42",
    "  ",
    *SPECIALS,
]
ODD_TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.characters()), max_size=25).map("".join)


def tokenized(texts: Any, tokenizer: Tokenizer) -> TokenizedTexts:
    """Tokenize texts with the compiled loop and in Python, and check that both agree."""
    texts = texts if isinstance(texts, str) else list(texts)
    found = tokenization.tokenize_texts(texts, tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "native", None)
        other = tokenization.tokenize_texts(texts, tokenizer)
    assert found.tokens == other.tokens
    assert found.numbers.tolist() == other.numbers.tolist()
    assert found.lengths.tolist() == other.lengths.tolist()
    return found


def tokens_of(found: TokenizedTexts) -> list[list[str]]:
    """Return the tokens of each text."""
    assert found.numbers.dtype == found.lengths.dtype == np.int32
    tokens = iter(found.tokens[number] for number in found.numbers.tolist())
    return [[next(tokens) for _ in range(length)] for length in found.lengths.tolist()]


def specified(texts: list[str], tokenizer: Tokenizer, tokens: list[str]) -> list[list[str]]:
    """Return the tokens of each text by the pipeline; `?` for one that is not among `tokens`."""
    known = ["?", *dict.fromkeys([*tokenizer.specials, *tokens])]
    pipeline = tokenizer.to_pipeline({token: number for number, token in enumerate(known)}, "?")
    clean = [well_formed(text) for text in texts]
    return [
        [known[number] for number in one.ids]
        for one in pipeline.encode_batch(clean, add_special_tokens=False)
    ]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@given(texts=st.lists(ODD_TEXT, max_size=5))
def test_the_tokens_are_those_of_the_pipeline(tokenizer, texts):
    assert tokenizer.within_spaces
    found = tokenized(texts, tokenizer)
    assert tokens_of(found) == specified(texts, tokenizer, found.tokens)
    assert tokens_of(found) == [tokenizer.tokenize(text) for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONVENTIONS, "glove+"])
def test_every_code_point_within_a_token_and_at_both_ends_of_a_piece(name):
    tokenizer = TOKENIZERS[name]
    points = [
        chr(point)
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")
    ]
    assert len(points) > 140_000
    assert {" ", "\0", "\u0301", "İ", "Σ", "\U000e0001"} <= set(points)
    texts = [
        " ".join(f"A{c}b n't{c} {c}'s {c} " for c in points[at : at + 500])
        for at in range(0, len(points), 500)
    ]
    found = tokenized(texts, tokenizer)
    assert tokens_of(found) == specified(texts, tokenizer, found.tokens)


@pytest.mark.parametrize("tokenizer", CONVENTIONS.values(), ids=CONVENTIONS)
def test_python_tokenizes_ascii_like_the_pipeline(tokenizer):
    characters = [chr(point) for point in range(128) if chr(point) != " "]
    pieces = ["".join(pair) for pair in product(characters, repeat=2)]
    pieces += ["".join(some) for some in product("aN'T.3,-_:\t\x1c!", repeat=4)]
    pieces += [a + b + c for a, b, c in product(["", "ca", "it", "1", "u."], ODD[:26], ODD[20:40])]
    pieces = [piece for piece in dict.fromkeys(pieces) if piece.isascii() and " " not in piece]
    assert len(pieces) > 40_000
    tokens: list[list[str]] = [[]]
    for token in tokenizer.tokenize_pieces(pieces):
        tokens.append([]) if token == " " else tokens[-1].append(token)
    assert tokens.pop() == []
    assert tokens == [tokenizer.tokenize(piece) for piece in pieces]
    assert tokens == tokens_of(tokenization.tokenize_texts(pieces, tokenizer))


needs_compiled_loop = pytest.mark.skipif(
    tokenization.native is None, reason="the loop is not compiled"
)


@needs_compiled_loop
def test_arguments_and_results_of_the_compiled_loop():
    with pytest.raises(ValueError, match="a special token is empty"):
        tokenization.native.TextTokenizer(True, True, [b"<s>", b""])
    loop = tokenization.native.TextTokenizer(True, True, [b"<s>"])
    for bad in (3, [3], [None]):
        with pytest.raises(TypeError):
            loop.tokenize(bad)
        with pytest.raises(TypeError):
            loop.numbers(bad)
    numbers, lengths, pieces = loop.tokenize(["A a", "\xe9 <s>b A".encode(), b"", "\xe9"])
    assert np.frombuffer(numbers, np.int32).tolist() == [0, 0, -1, -2, 0, -1]
    assert np.frombuffer(lengths, np.int32).tolist() == [2, 3, 0, 1]
    assert pieces == ["\xe9".encode(), b"<s>b"]
    assert np.frombuffer(loop.numbers([b"b", b"a"]), np.int32).tolist() == [1, 0]
    assert loop.tokens() == ["a", "b"]
    assert loop.tokenize(["\xe9 x"])[2] == []
    loop.forget()
    assert loop.tokenize(["\xe9 x"])[2] == ["\xe9".encode()]
    assert loop.tokens() == ["a", "b", "x"]


@needs_compiled_loop
def test_the_chunks_of_the_compiled_loop():
    loop = tokenization.native.TextTokenizer(False, False, [])
    for bad in ([3, b" "], [["a"], " "], [[3], b" "], [["a"]]):
        with pytest.raises(TypeError):
            loop.chunks(*bad)
    texts = ["a  b\tc \t", b"", "  ", " a", "a  b\tc \t\n", "\xe9 \xe9".encode()]
    numbers, lengths, chunks = loop.chunks(texts, b" \t")
    assert chunks == [
        *(b"a", b"  b", b"\tc \t", b"  ", b" a", b"\tc", b" \t\n", "\xe9".encode()),
        " \xe9".encode(),
    ]
    assert np.frombuffer(numbers, np.int32).tolist() == [0, 1, 2, 3, 4, 0, 1, 5, 6, 7, 8]
    assert np.frombuffer(lengths, np.int32).tolist() == [3, 0, 1, 1, 4, 2]
    assert loop.chunks(["b\tab\t"], b"b")[2] == [b"b\ta", b"b\t"]
    assert loop.chunks(["a b"], b"")[2] == [b"a b"]


@needs_compiled_loop
def test_many_tokens_are_numbered():
    words = [f"w{i}" for i in range(50_000)]
    found = tokenization.tokenize_texts([" ".join(words), " ".join(words[::-1])], GLOVE)
    assert found.tokens == words
    assert found.numbers.tolist() == [*range(50_000), *range(49_999, -1, -1)]


@needs_compiled_loop
def test_words_that_collide_in_a_hash_without_a_key_take_no_longer_than_others():
    few, others = colliding_words(20_000)
    assert seconds(few) < 10 * seconds(others)  # 150 times as long without a key


def seconds(words: list[bytes]) -> float:
    text = b" ".join(words).decode()
    times = []
    for _ in range(3):
        loop = tokenization.native.TextTokenizer(False, False, [])
        start = time.thread_time()
        loop.tokenize([text])
        times.append(time.thread_time() - start)
        assert len(loop.tokens()) == len(words)
    return min(times)


def colliding_words(count: int) -> tuple[list[bytes], list[bytes]]:
    """Return words that FNV-1a puts in one 64th of 65,536 slots, and as many others."""
    letters = np.random.default_rng(0).integers(97, 123, (70 * count, 8), dtype=np.uint8)
    hashes = np.full(len(letters), 0xCBF29CE484222325, np.uint64)
    for column in letters.T:
        hashes = (hashes ^ column) * np.uint64(0x100000001B3)
    close = (hashes ^ hashes >> np.uint64(32)) % np.uint64(1 << 16) < 1024
    some, others = ([bytes(word) for word in letters[rows][:count]] for rows in (close, ~close))
    assert len(set(some)) == len(set(others)) == count
    return some, others


PRINT_RESULTS = r"""
import hashlib
from finetune_embed.formats.common import _kernels
from finetune_embed.vocabulary._tokenization import TextTokenizer

words = [b"%d" % (i * i) for i in range(5000)] + [b"a", b"ab", b"abc", b"\xff" * 9]
hashes = _kernels.word_set(words[::3])
loop = TextTokenizer(True, True, [b"<s>"])
text = b" ".join(words[:-1]).decode()
results = [loop.tokenize([text, text.upper(), "\xe9 <s> \xe9"]), loop.numbers(words[:-1])]
results.append(loop.tokens())
text = b"".join(word + b" 1\n" for word in words)
results.append(_kernels.parse_text(text, 1, 9999, hashes))
binary = b"".join(word + b" 1234" for word in words)
results.append(_kernels.parse_binary(binary, 1, 9999, hashes))
print(hashlib.sha256(repr(results).encode()).hexdigest(), hashlib.sha256(hashes).hexdigest())
"""


@needs_compiled_loop
def test_results_do_not_depend_on_the_key_of_the_hash():
    command = [sys.executable, "-c", PRINT_RESULTS]
    runs = [subprocess.run(command, check=True, capture_output=True) for _ in range(2)]
    (first, first_key), (second, second_key) = (run.stdout.split() for run in runs)
    assert first == second
    assert first_key != second_key


@needs_compiled_loop
def test_a_tokenizer_in_use_by_another_thread_is_refused_or_right():
    loop = tokenization.native.TextTokenizer(True, True, [])
    text = " ".join(f"w{i}" for i in range(300_000))
    calls = {
        "tokenize": lambda: loop.tokenize(["a b"]),
        "chunks": lambda: loop.chunks(["a b"], b" "),
        "numbers": lambda: loop.numbers([b"a"]),
        "tokens": lambda: loop.tokens(),
        "forget": lambda: loop.forget(),
    }
    refused: dict[str, set[str]] = {name: set() for name in calls}
    results = []
    thread = threading.Thread(target=lambda: results.append(loop.tokenize([text])))
    thread.start()
    while thread.is_alive():
        for name, call in calls.items():
            try:
                call()
            except RuntimeError as error:
                refused[name].add(str(error))
    thread.join()
    assert refused == {name: {"the tokenizer is in use by another thread"} for name in calls}
    words = loop.tokens()
    numbers = np.frombuffer(results[0][0], np.int32).tolist()
    assert " ".join(words[number] for number in numbers) == text


@needs_compiled_loop
def test_a_tokenizer_that_is_used_while_its_texts_are_read_works():
    loop = tokenization.native.TextTokenizer(True, True, [])

    def texts():
        yield "a b"
        assert loop.tokenize(["c a"])[0] == np.array([0, 1], np.int32).tobytes()
        yield "b c"

    assert loop.tokenize(texts())[0] == np.array([1, 2, 2, 0], np.int32).tobytes()
    assert loop.tokens() == ["c", "a", "b"]


@pytest.mark.parametrize("texts", [[["", ""]], [["", "a", ""], "a"], ["", ["", ""], "b"]])
def test_empty_tokens_are_tokens(texts):
    found = tokenized(texts, GLOVE)
    assert tokens_of(found) == [[*text] for text in texts]
    assert Vocabulary.from_texts(texts).encode(texts)[0].tolist() == [
        Vocabulary.from_texts(texts).key_to_index[word] for text in texts for word in text
    ]


SPACED = [
    Tokenizer(pattern=r"\w+ \w+|\S+"),
    Tokenizer(pattern=r" ?\w+", lowercase=False, normalize=False),
    replace(GLOVE, specials=("New York", "<s>")),
    replace(WHITESPACE, specials=(" ",)),
]


@pytest.mark.parametrize("tokenizer", SPACED)
@given(texts=st.lists(st.text(st.sampled_from("ab NewYork<s>,"), max_size=12), max_size=4))
def test_tokens_that_reach_across_spaces(tokenizer, texts):
    assert not tokenizer.within_spaces
    texts = [*texts, "a b c", "in New York <s>"]
    found = tokenized(texts, tokenizer)
    assert tokens_of(found) == specified(texts, tokenizer, found.tokens)
    assert any(" " in token for token in found.tokens)


@pytest.mark.parametrize(("characters", "remembered"), [(1, 0), (9, 3), (40, 10**6)])
@pytest.mark.parametrize("tokenizer", [GLOVE, SPACED[0]])
def test_the_size_of_batches_and_of_the_memory_for_pieces_does_not_matter(
    monkeypatch, tokenizer, characters, remembered
):
    texts = [f"w{i % 7} x  y{i % 3}é, " * (i % 4) for i in range(60)]
    once = tokenized(texts, tokenizer)
    monkeypatch.setattr(tokenization, "CHARACTERS", characters)
    monkeypatch.setattr(tokenization, "TOKENS", characters)
    monkeypatch.setattr(tokenization, "REMEMBERED", remembered)
    again = tokenized(iter(texts), tokenizer)
    assert again.tokens == once.tokens
    assert again.numbers.tolist() == once.numbers.tolist()
    assert again.lengths.tolist() == once.lengths.tolist()
    assert tokens_of(once) == [tokenizer.tokenize(text) for text in texts]


MIXED = [
    "B a b",
    ["B", "New York", "<S>"],
    "c, A",
    "",
    [],
    ("b", "\ud800", " "),
    "<s>b",
    np.str_("z"),
]


@pytest.mark.parametrize("tokenizer", [GLOVE, CASED, TOKENIZERS["glove+"], SPACED[0]])
def test_texts_and_lists_of_tokens_may_be_mixed(tokenizer):
    found = tokenized(MIXED, tokenizer)
    lower = str.lower if tokenizer.lowercase else str
    expected = [
        tokenizer.tokenize(text) if isinstance(text, str) else [lower(well_formed(w)) for w in text]
        for text in MIXED
    ]
    assert tokens_of(found) == expected
    assert len(found) == len(MIXED)
    assert found.tokens == list(dict.fromkeys(token for tokens in expected for token in tokens))
    counts = found.counts
    assert counts["z"] == 1
    assert counts[lower("B")] == sum(tokens.count(lower("B")) for tokens in expected) > 1
    assert sum(counts.values()) == len(found.numbers)


def test_no_tokens():
    for texts in ([], [""], ["", "  "], [[]], [" ", []]):
        found = tokenized(texts, GLOVE)
        assert found.tokens == found.numbers.tolist() == []
        assert found.lengths.tolist() == [0] * len(texts)
        assert found.counts == {}
        assert found.numbers.dtype == found.lengths.dtype == np.int32


@pytest.mark.parametrize("bad", [None, 3, ["a", None], b"ab"])
@pytest.mark.parametrize("tokenizer", [GLOVE, SPACED[0]])
def test_invalid_texts(tokenizer, bad):
    message = "is neither a text nor a list of words; remove such texts, .* with dataset.filter"
    with pytest.raises(VocabularyError, match=message) as raised:
        tokenized(["a b", bad], tokenizer)
    assert raised.value.value is bad
    message = r"the texts are one string, 'a b', not a list; pass \['a b'\]"
    with pytest.raises(VocabularyError, match=message):
        tokenized("a b", tokenizer)


@given(st.lists(st.one_of(ODD_TEXT, st.lists(st.sampled_from(ODD), max_size=4)), max_size=5))
def test_a_vocabulary_and_ids_from_texts_that_were_tokenized_once(texts):
    texts = ["x x", *texts]  # a token that occurs twice
    for tokenizer in (TOKENIZERS["glove+"], WHITESPACE):
        found = tokenized(texts, tokenizer)
        vocab = Vocabulary.from_counts(found.counts, tokenizer, 2 if len(found.numbers) > 20 else 1)
        words = [word for words in tokens_of(found) for word in words]
        of_texts = Vocabulary.from_texts(texts, tokenizer, 2 if len(words) > 20 else 1)
        assert vocab.index_to_key == of_texts.index_to_key
        assert vocab.counts.tolist() == of_texts.counts.tolist()
        assert vocab.counts.sum() == len(words)
        assert vocab.counts[vocab.first_word :].tolist() == [
            words.count(word) for word in vocab.index_to_key[vocab.first_word :]
        ]
        key = [(-words.count(word), word) for word in vocab.index_to_key[vocab.first_word :]]
        assert key == sorted(key)
        ids, offsets = vocab.encode(found)
        assert ids.tolist() == [vocab.key_to_index.get(word, vocab.unk_idx) for word in words]
        assert offsets.tolist() == [0, *np.cumsum(found.lengths)[:-1].tolist()]
        assert vocab.words_of(texts) == tokens_of(found)
