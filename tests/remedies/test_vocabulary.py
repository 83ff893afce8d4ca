"""The remedies for tokens, fallback chains, start values and combined tables are followed."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from following import follows

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.errors import VocabularyError
from finetune_embed.vocabulary import tokenize_texts


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "a King,x\nthe queen,y\n" * 10)
    return path


@pytest.fixture
def vectors(table, tmp_path):
    fe.save_word2vec(table, tmp_path / "vectors.vec")
    return tmp_path / "vectors.vec"


@pytest.fixture
def train(data, tmp_path, capsys):
    """Runs `train` with more options, and returns its messages if it fails."""

    def run(vectors, *options: object) -> str:
        fixed = ("train", "--data", data, "-o", tmp_path / "out", "--epochs", 1, "--overwrite")
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, (*fixed, "--vectors", vectors, *options)), "--quiet"])
        assert stopped.value.code == (0 if "--json" in options else 2)
        return capsys.readouterr().err

    return run


# Combined tables


@follows("vocabulary/combine.py", "words are already in the table")
def test_words_that_are_not_new(table):
    words = ["pear", "king"]
    with pytest.raises(fe.VocabularyError, match=r"; pass extend\(table, \[word for word in wor"):
        fe.extend(table, words)
    assert "pear" in fe.extend(table, [word for word in words if word not in table])


@follows("vocabulary/combine.py", 'Option("vectors"), f" has the shape')
def test_vectors_of_another_shape(table):
    with pytest.raises(fe.VocabularyError, match=r"; pass the shape \(1, 3\), one row per word$"):
        fe.extend(table, ["pear"], vectors=[1, 2, 3])
    fe.extend(table, ["pear"], vectors=[[1, 2, 3]])


@follows("vocabulary/combine.py", "is not a list of two or more tables")
def test_tables_that_are_not_a_list(table):
    with pytest.raises(fe.VocabularyError, match=r"; pass such a list, as in tables=\[glove, "):
        fe.concatenate(table)
    fe.concatenate(tables=[table, table])


@follows("vocabulary/combine.py", "is one string, not a list of words")
def test_keys_that_are_one_string(table):
    with pytest.raises(fe.VocabularyError, match=r"; pass keys=\['king'\]$"):
        fe.average([table, table], keys="king")
    fe.average([table, table], keys=["king"])


@follows("vocabulary/combine.py", "keys are in none of the tables")
def test_keys_that_no_table_has(table):
    tables, keys = [table, table], ["king", "pear"]
    with pytest.raises(fe.VocabularyError, match=r"; pass keys=\[key for key in keys if any\("):
        fe.average(tables, keys)
    keys = [key for key in keys if any(key in table for table in tables)]
    assert fe.average(tables, keys).index_to_key == ["king"]


@follows("vocabulary/combine.py", "is given twice")
def test_keys_that_are_given_twice(table):
    keys = ["king", "man", "king"]
    with pytest.raises(
        fe.VocabularyError, match=r"; pass each once: list\(dict\.fromkeys\(keys\)\)$"
    ):
        fe.average([table, table], keys)
    fe.average([table, table], list(dict.fromkeys(keys)))


# The fallback chain


@follows("vocabulary/fallback.py", "has the unknown step")
def test_an_unknown_step(table, train, vectors):
    vocab = fe.Vocabulary({"King": 1})
    with pytest.raises(fe.VocabularyError, match=r"such as fallback=\('lower', 'digits_zero'\)$"):
        vocab.coverage(table, fallback="stem")
    assert vocab.coverage(table, fallback=("lower", "digits_zero")).types_found == 1
    assert "such as --fallback lower,digits_zero" in train(vectors, "--fallback", "stem")
    train(vectors, "--fallback", "lower,digits_zero", "--json")


@follows("vocabulary/fallback.py", "twice")
def test_a_step_that_is_given_twice(table, train, vectors):
    vocab = fe.Vocabulary({"King": 1})
    with pytest.raises(fe.VocabularyError, match=r"; remove one: fallback=\('lower',\)$"):
        vocab.coverage(table, fallback="lower,lower")
    assert vocab.coverage(table, fallback=("lower",)).types_found == 1
    assert "remove one: --fallback lower\n" in train(vectors, "--fallback", "lower,lower")
    train(vectors, "--fallback", "lower", "--json")


# Start values


@follows("vocabulary/initial_vectors.py", "words have vectors that are not finite")
def test_rows_that_are_not_finite(table, train, tmp_path):
    table.vectors[1, 0] = np.nan
    vocab = fe.Vocabulary({"queen": 2, "king": 1})
    with pytest.raises(
        fe.VocabularyError, match=r"; leave them out: table\.subset\(word for word in"
    ):
        fe.to_embedding(table, vocab)
    finite = table.subset(word for word in table.words if np.isfinite(table[word]).all())
    fe.to_embedding(finite, vocab)
    source, target = tmp_path / "bad.vec", tmp_path / "good.safetensors"
    fe.save_word2vec(table, source)
    assert "finetune-embed convert SOURCE TARGET --keys WORDS" in train(source)
    (tmp_path / "words").write_text("king\nman\nwoman\napple\n")
    with pytest.raises(SystemExit) as stopped:
        main(["convert", str(source), str(target), "--keys", str(tmp_path / "words")])
    assert stopped.value.code == 0
    train(target, "--json")


@follows("vocabulary/start_values.py", "is finite, so there is no mean")
def test_a_table_without_a_finite_row(train, tmp_path):
    table = fe.EmbeddingTable(["x"], [[np.nan, 1.0]])
    vocab = fe.Vocabulary({"king": 1})
    with pytest.raises(fe.VocabularyError, match=r"; pass oov='zeros', or use another table$"):
        fe.to_embedding(table, vocab)
    fe.to_embedding(table, vocab, oov="zeros")
    marked = fe.Vocabulary({}, specials=[fe.Special("<m>", "mean")])
    with pytest.raises(fe.VocabularyError, match=r"; pass start='zeros', or use another table$"):
        fe.to_embedding(table, marked)
    fe.to_embedding(table, marked.with_specials([fe.Special("<m>", start="zeros")]))
    fe.save_safetensors(table, tmp_path / "t.safetensors")
    assert "; pass --oov zeros, or use another" in train(tmp_path / "t.safetensors")
    train(tmp_path / "t.safetensors", "--oov", "zeros", "--json")


@follows("vocabulary/start_values.py", "needs subword vectors")
def test_a_table_without_subword_vectors(table, train, vectors, golden):
    vocab = fe.Vocabulary({"queens": 1})
    message = (
        r"; do without 'subwords', or use a fastText binary: load_vectors\('cc\.en\.300\.bin'\)$"
    )
    with pytest.raises(fe.VocabularyError, match=message):
        fe.to_embedding(table, vocab, oov="subwords")
    fe.to_embedding(table, vocab)
    binary = golden / "tiny.fasttext-skipgram.bin"
    fe.to_embedding(fe.load_vectors(binary), vocab, oov="subwords")
    shown = train(vectors, "--fallback", "lower,subwords")
    assert "use a fastText binary: --vectors cc.en.300.bin" in shown
    train(vectors, "--fallback", "lower", "--json")
    train(binary, "--fallback", "lower,subwords", "--json")


@follows("vocabulary/start_values.py", "words have subword vectors that are not finite")
def test_subword_vectors_that_are_not_finite(table):
    class Composer:
        def compose(self, words):
            return np.full((len(words), 3), np.nan, np.float32), np.ones(len(words), bool)

    table.subwords = Composer()
    vocab = fe.Vocabulary({"queens": 1})
    with pytest.raises(fe.VocabularyError, match=r"; do without 'subwords' in fallback$"):
        fe.to_embedding(table, vocab, fallback=("lower", "subwords"))
    fe.to_embedding(table, vocab, fallback=("lower",))
    with pytest.raises(fe.VocabularyError, match=r"; do without 'subwords' in oov$"):
        fe.to_embedding(table, vocab, oov="subwords")
    fe.to_embedding(table, vocab, oov="mean")


# Special tokens


@follows("vocabulary/special_tokens.py", "cannot be a special token")
def test_a_blank_special_token(train, vectors):
    with pytest.raises(fe.VocabularyError, match=r"such as Special\('<mask>'\)$"):
        fe.Special(" ")
    fe.Special("<mask>")
    assert "such as --special '<mask>'" in train(vectors, "--special", " ")
    train(vectors, "--special", "<mask>", "--json")


@follows("vocabulary/special_tokens.py", "is one special token, not a list of them")
def test_special_tokens_that_are_not_a_list():
    with pytest.raises(fe.VocabularyError, match=r"; pass specials=\['<m>'\]$"):
        fe.Vocabulary({"a": 1}, specials="<m>")
    fe.Vocabulary({"a": 1}, specials=["<m>"])


@follows("vocabulary/vocabulary.py", "is not a special token of the vocabulary")
def test_a_special_token_that_the_vocabulary_lacks():
    texts = ["a <m> b"]
    message = r"; make the vocabulary with it: Vocabulary\.from_texts\(texts, specials=\['<m>'\]\)$"
    with pytest.raises(fe.VocabularyError, match=message):
        fe.Vocabulary.from_texts(texts).with_specials([fe.Special("<m>", "mean")])
    vocab = fe.Vocabulary.from_texts(texts, specials=["<m>"])
    vocab.with_specials([fe.Special("<m>", "mean")])


# Texts and vocabularies


@follows("vocabulary/tokenization.py", "is neither a text nor a list of words")
def test_texts_that_are_missing():
    dataset = Dataset.from_dict({"text": ["a b", None]})
    with pytest.raises(
        fe.VocabularyError, match=r"; remove such texts, .* dataset\.filter\(\.\.\.\)$"
    ):
        fe.Vocabulary.from_dataset(dataset, "text")
    dataset = dataset.filter(lambda example: example["text"] is not None)
    fe.Vocabulary.from_dataset(dataset, "text")
    tokenize_texts(["a b"], fe.Tokenizer())


@follows("vocabulary/tokenizer.py", "is not a known tokenizer")
def test_an_unknown_tokenizer(train, vectors):
    message = (
        r"; choose from glove, cased, whitespace, or make your own: "
        r"Tokenizer\(lowercase=\.\.\., pattern=\.\.\.\)$"
    )
    with pytest.raises(fe.VocabularyError, match=message):
        fe.Tokenizer.named("bert")
    assert fe.Tokenizer.named("cased") != fe.Tokenizer(lowercase=False, pattern=r"\w")
    shown = train(vectors, "--tokenizer", "bert")
    assert "--tokenizer bert is not a known tokenizer; choose from glove, cased, whites" in shown
    assert "Tokenizer(" not in shown
    train(vectors, "--tokenizer", "whitespace", "--json")


@follows("vocabulary/vocabulary.py", "has several splits")
def test_several_splits():
    dataset = DatasetDict(train=Dataset.from_dict({"text": ["a"]}))
    with pytest.raises(fe.VocabularyError, match=r"; pass one, such as dataset\['train'\]$"):
        fe.Vocabulary.from_dataset(dataset, "text")
    fe.Vocabulary.from_dataset(dataset["train"], "text")


@follows("vocabulary/vocabulary.py", "there is no column")
def test_a_missing_column():
    dataset = Dataset.from_dict({"body": ["a"]})
    with pytest.raises(fe.VocabularyError, match=r"; choose from 'body': columns=\.\.\.$"):
        fe.Vocabulary.from_dataset(dataset, "text")
    fe.Vocabulary.from_dataset(dataset, columns="body")


@follows("vocabulary/vocabulary.py", "no word occurs")
def test_words_that_are_too_rare(train, vectors):
    texts = ["a b", "a c"]
    with pytest.raises(fe.VocabularyError, match=r", or keep rarer words: min_count=2$"):
        fe.Vocabulary.from_texts(texts, min_count=3)
    assert fe.Vocabulary.from_texts(texts, min_count=2).words == ["a"]
    assert "or keep rarer words: --min-count 9\n" in train(vectors, "--min-count", 99)
    train(vectors, "--min-count", 9, "--json")


# Ids that exist already

IDS = {"[PAD]": 0, "[UNK]": 1, "king": 2, "queen": 3}


@follows("vocabulary/given_ids.py", "must be a dict of token: id")
def test_the_ids_of_a_tokenizer(table):
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(IDS, unk_token="[UNK]"))
    with pytest.raises(VocabularyError, match=r"tokenizer, pass tokenizer\.get_vocab\(\)$"):
        fe.Vocabulary.from_ids(tokenizer)
    assert len(fe.Vocabulary.from_ids(tokenizer.get_vocab())) == 4


@follows("vocabulary/given_ids.py", "tokens have ids up to")
def test_ids_without_a_token():
    ids = {"a": 0, "b": 4, "c": 2}
    with pytest.raises(VocabularyError) as caught:
        fe.Vocabulary.from_ids(ids)
    named = eval(str(caught.value).partition("; name them: ")[2], {"ids": ids})
    made = fe.Vocabulary.from_ids(named)
    assert made.index_to_key == ["a", "<unused 1>", "c", "<unused 3>", "b"]


@follows("vocabulary/given_ids.py", "is not one of the tokens")
def test_a_token_for_padding_that_has_no_id():
    with pytest.raises(
        VocabularyError, match=r"; pass the token that has the id, or leave pad out$"
    ):
        fe.Vocabulary.from_ids(IDS, pad="<pad>")
    assert fe.Vocabulary.from_ids(IDS, pad="[PAD]").padding_idx == 0
    assert fe.Vocabulary.from_ids(IDS).padding_idx is None


@follows("vocabulary/vocabulary.py", "cannot be both padding")
def test_one_token_for_padding_and_unknown_tokens():
    with pytest.raises(VocabularyError, match=r"; leave unk out$"):
        fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[PAD]")
    assert fe.Vocabulary.from_ids(IDS, pad="[PAD]").unk_idx is None


@follows("vocabulary/given_ids.py", "counts must be a dict")
def test_counts_that_are_a_list():
    words = ["king", "queen", "king"]
    with pytest.raises(VocabularyError, match=r"texts: Vocabulary\.from_texts\(texts\)$"):
        fe.Vocabulary(words)
    assert fe.Vocabulary.from_texts([words]).words == ["king", "queen"]


@follows("vocabulary/given_ids.py", "are all different")
def test_ids_instead_of_counts():
    with pytest.raises(VocabularyError, match=r"Vocabulary\.from_ids\(ids, pad=\.\.\., unk="):
        fe.Vocabulary(IDS | {f"w{at}": at for at in range(4, 10)})
    assert len(fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")) == 4


@follows("vocabulary/vocabulary.py", "the texts are a dict")
def test_ids_instead_of_texts():
    with pytest.raises(VocabularyError, match=r"Vocabulary\.from_ids\(ids, pad=\.\.\., unk="):
        fe.Vocabulary.from_texts(IDS)
    assert len(fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")) == 4


@follows("vocabulary/given_ids.py", "vocab must be a Vocabulary")
@follows("strategies/row_selection.py", "but vocab is a")
def test_ids_instead_of_a_vocabulary(table):
    remedy = r"for a dict of token: id, pass .*Vocabulary\.from_ids\(ids, pad=\.\.\., unk=\.\.\.\)$"
    with pytest.raises(VocabularyError, match=remedy):
        fe.to_embedding(table, IDS)
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    embedding = fe.to_embedding(table, vocab)
    model, strategy = fe.BagOfEmbeddings(embedding, 2), fe.TrainRows(keys=["king"])
    with pytest.raises(fe.StrategyError, match=remedy):
        strategy.param_groups(model, embedding, lr=0.1, vocab=IDS)
    strategy.param_groups(model, embedding, lr=0.1, vocab=vocab)


@follows("vocabulary/vocabulary.py", "and there is none for unknown tokens")
def test_unknown_tokens_without_an_id():
    with pytest.raises(VocabularyError, match=r"them: Vocabulary\.from_ids\(ids, pad=\.\.\., unk="):
        fe.Vocabulary.from_ids(IDS).encode([["man"]])
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    assert vocab.encode([["man"]])[0].tolist() == [1]


@follows("vocabulary/vocabulary.py", 'remedy="pass lists of tokens: "')
def test_texts_for_given_ids():
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    texts, tokenizer = ["king queen"], fe.Tokenizer.named("whitespace")
    with pytest.raises(VocabularyError) as caught:
        vocab.encode(texts)
    call = str(caught.value).partition("pass lists of tokens: ")[2]
    names = {"vocab": vocab, "tokenizer": tokenizer, "texts": texts}
    assert eval(call, names)[0].tolist() == [2, 3]


@follows("training/resolve.py", "has the ids of another tokenizer")
def test_given_ids_in_a_run(table):
    from datasets import Dataset

    data = Dataset.from_dict({"text": ["king", "queen"] * 8, "label": ["x", "y"] * 8})
    vocab = fe.Vocabulary.from_ids(IDS, pad="[PAD]", unk="[UNK]")
    with pytest.raises(fe.DataError, match=r"; leave vocab out, or train in your own loop$"):
        fe.finetune(table, data, vocab=vocab, epochs=1)
    assert fe.finetune(table, data, epochs=1).labels == ["x", "y"]
