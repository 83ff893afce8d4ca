"""The remedies for data sets, columns and labels are followed."""

from __future__ import annotations

import re
from functools import partial

import datasets
import pytest
from datasets import Dataset, DatasetDict
from following import follows

import finetune_embed as fe
from finetune_embed import DataError
from finetune_embed.cli import main
from finetune_embed.data import distinct_classes, distinct_labels, hold_out, open_splits, texts_of

ROWS = {"text": ["a king", "the queen"] * 10, "label": ["x", "y"] * 10}


def tune(table, dataset, **settings: object):
    return fe.finetune(table, dataset, epochs=1, **settings)


@pytest.fixture
def train(table, tmp_path, capsys):
    """Runs `train` on data, and returns its messages if it fails."""
    fe.save_word2vec(table, tmp_path / "vectors.vec")

    def run(data, *options: object) -> str:
        fixed = ("train", "--vectors", tmp_path / "vectors.vec", "-o", tmp_path / "out")
        more = ("--data", data, "--epochs", 1, "--overwrite", "--quiet")
        with pytest.raises(SystemExit) as stopped:
            main(list(map(str, (*fixed, *more, *options))))
        assert stopped.value.code == (0 if "--json" in options else 2)
        return capsys.readouterr().err

    return run


@pytest.fixture
def csv(tmp_path):
    def write(text: str, name: str = "data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize("text", ["text", ("title", "text")])
def test_equal_texts_in_two_splits_are_removed_as_the_warning_says(text, table, csv):
    rows = "".join(f"a,king {word},{'xy'[at % 2]}\n" for at, word in enumerate("abcdefghij"))
    path = csv("title,text,label\n" + 3 * rows)
    warning = tune(table, path, text=text).warnings[0]
    said, _, call = warning.partition("; polars removes such duplicates: ")
    assert said == "3 of 3 validation texts are training texts too, which makes the scores too good"
    new = path.with_name("unique.csv")
    exec(call, {"FILE": path, "NEW_FILE": new})
    assert new.read_text() == "title,text,label\n" + rows
    assert not any("training texts" in one for one in tune(table, new, text=text).warnings)


GOOD = "text,label\n" + "a king,x\nthe queen,y\n" * 10


# Columns and examples


@follows("data/columns.py", "there is no column")
def test_a_missing_column(table, train, csv):
    dataset = Dataset.from_dict({"body": ROWS["text"], "stars": ROWS["label"]})
    with pytest.raises(DataError, match=r"; choose from 'body', 'stars', such as text='body'$"):
        tune(table, dataset)
    with pytest.raises(DataError, match=r"; choose from 'body', 'stars', such as label='stars'$"):
        tune(table, dataset, text="body")
    tune(table, dataset, text="body", label="stars")
    path = csv(GOOD.replace("text,label", "body,stars"))
    assert "; choose from 'body', 'stars', such as --text body" in train(path)
    assert "; choose from 'body', 'stars', such as --label stars" in train(path, "--text", "body")
    train(path, "--text", "body", "--label", "stars", "--json")


@follows("data/columns.py", "hold both texts and lists of words")
def test_columns_of_different_kinds(table):
    dataset = Dataset.from_dict({**ROWS, "words": [text.split() for text in ROWS["text"]]})
    with pytest.raises(DataError, match=r"; choose columns of one kind: text=\.\.\.$"):
        tune(table, dataset, text=["text", "words"])
    tune(table, dataset, text=["text", "label"])


@follows("data/columns.py", "examples have {fault}")
def test_examples_without_a_text_in_a_data_set(table):
    rows = {"text": [*ROWS["text"], "a man"], "label": [*ROWS["label"], None]}
    dataset = Dataset.from_dict(rows)
    with pytest.raises(DataError, match=r"; remove them with dataset\.filter\(\.\.\.\)$"):
        tune(table, dataset, missing="keep")
    tune(table, dataset.filter(lambda example: example["label"] is not None), missing="keep")


@follows("data/columns.py", "examples have {fault}")
def test_examples_without_a_label_in_a_file(table, train, csv):
    path = csv(GOOD + "a man,\n")
    message = r"data\.csv:22: 1 of 21 examples have .*; remove them from the file$"
    with pytest.raises(DataError, match=message):
        tune(table, path, missing="keep")
    shown = train(path, "--missing", "keep")
    assert "data.csv:22: 1 of 21 examples have a label in 'label' that is not" in shown
    lines = path.read_text().splitlines(keepends=True)
    del lines[21]
    path.write_text("".join(lines))
    tune(table, path, missing="keep")
    train(path, "--missing", "keep", "--json")


@follows("data/columns.py", "examples have {fault}")
def test_numbers_instead_of_texts(table, train, csv):
    columns = {"id": [1, 2] * 10, **ROWS}
    with pytest.raises(DataError, match=r"20 of 20 .*; choose another column: text='text'$"):
        tune(table, Dataset.from_dict(columns), text="id")
    tune(table, Dataset.from_dict(columns), text="text")
    path = csv(
        '{"id": 1, "text": "a", "label": "x"}\n{"id": 2, "text": "b", "label": "y"}\n' * 9,
        "data.jsonl",
    )
    assert "; choose another column: --text text" in train(path, "--text", "id")
    train(path, "--text", "text", "--json")


@follows("data/missing.py", "examples have {_WORDS[kind]} in")
def test_a_column_without_any_value(table, train, csv):
    path = csv("title,text,label\n" + "NA,a king,x\n,the queen,y\n" * 10)
    message = (
        r"all 20 examples have no text in 'title' \(10 'NA'\); choose another column: text='text', "
        r"or keep these words: missing='keep'$"
    )
    with pytest.raises(DataError, match=message):
        tune(table, path, text="title")
    tune(table, path, text="text")
    shown = train(path, "--text", "title")
    assert "; choose another column: --text text, or keep these words: --missing keep" in shown
    train(path, "--text", "text", "--json")
    train(path, "--text", "title", "--missing", "keep", "--json")


@follows("data/missing.py", "examples have {_WORDS[kind]} in")
def test_a_column_without_any_label(train, csv):
    path = csv("text,label,stars\n" + "a king,,x\nthe queen,,y\n" * 10)
    shown = train(path)
    assert shown.endswith(
        "all 20 examples have no label in 'label'; choose another column: --label stars\n"
    )
    train(path, "--label", "stars", "--json")
    path = csv("text,label\n" + "a king,\nthe queen,\n" * 10)
    assert train(path).endswith("have no label in 'label'; fill in the labels\n")
    train(csv("text,label\n" + "a king,x\nthe queen,y\n" * 10), "--json")


@follows("data/missing.py", "examples have {_WORDS[kind]} in")
@pytest.mark.parametrize("split", ["evaluated", "test"])
def test_empty_texts_can_be_kept_where_nothing_is_trained_on_them(split, table, csv):
    path = csv("text,label\n" + ",x\n,y\n")
    rows = Dataset.from_dict({"text": [None, None], "label": ["x", "y"]})
    use = partial(tune(table, Dataset.from_dict(ROWS)).evaluate, path)
    where = rf"^{re.escape(str(path))}: "
    if split == "test":
        given = {"train": Dataset.from_dict(ROWS), "test": rows}
        use, where = partial(tune, table, given), r"\(test\): "
    message = rf"{where}all 2 examples have no text in 'text'; fill in the texts, "
    with pytest.raises(DataError, match=message + r"or keep them as empty texts: missing='keep'$"):
        use()
    found = use(missing="keep")
    assert (found.metrics["texts"]["test"] if split == "test" else found.examples) == 2
    with pytest.raises(DataError, match=r"; fill in the texts$"):
        tune(table, path)  # with nothing but empty texts there is nothing to learn


@follows("data/missing.py", "are words for no value")
def test_words_for_no_value_among_two_classes(table, train, csv):
    path = csv("text,label\n" + "a king,NA\nthe queen,EU\n" * 10)
    message = r"10 labels in 'label' are words for no value \(10 'NA'\), and the others are all"
    with pytest.raises(DataError, match=message):
        tune(table, path)
    assert tune(table, path, missing="keep").labels == ["EU", "NA"]
    assert "; if they are labels, pass --missing keep" in train(path)
    train(path, "--missing", "keep", "--json")


@follows("data/columns.py", "examples have {fault}")
def test_single_labels_instead_of_lists(table, train, csv):
    dataset = Dataset.from_dict(ROWS)
    with pytest.raises(DataError, match=r"; pass task='single_label' if each text has one label$"):
        tune(table, dataset, task="multi_label")
    tune(table, dataset, task="single_label")
    path = csv(GOOD)
    assert "; pass --task single_label if each" in train(path, "--task", "multi_label")
    train(path, "--task", "single_label", "--json")


# Labels


@follows("data/labels.py", "but a task needs two or more")
def test_too_few_labels(table, train, csv):
    dataset = Dataset.from_dict({**ROWS, "label": [["x"], []] * 10})
    message = r"mark in a column of True and False .*, and pass task='single_label'$"
    with pytest.raises(DataError, match=message):
        tune(table, dataset)
    marked = Dataset.from_dict({"text": dataset["text"][:], "label": [True, False] * 10})
    tune(table, marked, task="single_label")
    one = Dataset.from_dict({**ROWS, "label": ["x"] * 20})
    with pytest.raises(DataError, match=r"; add examples with another label$"):
        distinct_classes(one, "label", "here")
    path = csv('{"text": "a", "label": ["x"]}\n{"text": "b", "label": []}\n' * 9, "data.jsonl")
    assert "and pass --task single_label" in train(path)
    path = csv('{"text": "a", "label": true}\n{"text": "b", "label": false}\n' * 9, "data.jsonl")
    train(path, "--task", "single_label", "--json")


@follows("data/multi_hot.py", "it marks one of {size} labels")
def test_a_one_among_zeros(table, train, csv):
    hot = [[1, 0] if label == "x" else [0, 1] for label in ROWS["label"]]
    dataset = Dataset.from_dict({"text": ROWS["text"], "label": hot})
    message = r"; write that label instead: dataset\.map\(lambda example: \{'label': .*\}\)$"
    with pytest.raises(DataError, match=message):
        tune(table, dataset)
    for kind in (None, "numpy", "torch"):
        given = dataset.with_format(kind)
        mapped = given.map(lambda example: {"label": list(example["label"]).index(1)})
        assert tune(table, mapped).labels == [0, 1]
    line = '{"text": "a king", "label": [1, 0]}\n{"text": "the queen", "label": [0, 1]}\n'
    assert "write that label instead, such as {'label': 'sport'}" in train(
        csv(line * 9, "data.jsonl")
    )
    words = line.replace("[1, 0]", '"sport"').replace("[0, 1]", '"news"')
    train(csv(words * 9, "words.jsonl"), "--json")


@follows("data/columns.py", "examples have {fault}")
def test_scores_are_not_labels(table, train, csv):
    scores = [4.0, 0.5] * 10
    dataset = Dataset.from_dict({"text": ROWS["text"], "label": scores})
    message = r", or pass task='regression' to predict numbers$"
    with pytest.raises(DataError, match=message):
        tune(table, dataset, task="single_label")
    assert tune(table, dataset, task="regression").labels == []
    lines = '{"text": "a king", "label": 4.0}\n{"text": "the queen", "label": 0.5}\n' * 9
    data = csv(lines, "data.jsonl")
    found = train(data, "--task", "single_label")
    assert found.endswith(", or pass --task regression to predict numbers\n")
    train(data, "--task", "regression", "--json")


@follows("data/columns.py", "examples have {fault}")
def test_lists_of_labels_for_a_single_label(table):
    lists = [["x"], ["x", "y"]] * 10
    dataset = Dataset.from_dict({"text": ROWS["text"], "label": lists})
    message = r"; pass task='multi_label' if a text has several$"
    with pytest.raises(DataError, match=message):
        tune(table, dataset, task="single_label")
    assert tune(table, dataset, task="multi_label").labels == ["x", "y"]


@follows("data/multi_hot.py", "look like a 0 or 1 for each of")
def test_a_flag_for_each_possible_label(train, csv):
    names = ["sport", "news", "art"]
    dataset = Dataset.from_dict({"text": ["a", "b"], "label": [[1, 1, 0], [0, 0, 1]]})
    message = (
        r": dataset\.map\(lambda example: \{'label': \[name for name, is_set in zip\(names, "
        r"example\['label'\]\) if is_set\]\}\)$"
    )
    with pytest.raises(DataError, match=message):
        distinct_labels(dataset, "label", "here")
    labels = [
        [name for name, is_set in zip(names, flags, strict=True) if is_set]
        for flags in dataset["label"]
    ]
    mapped = dataset.remove_columns("label").add_column("label", labels)
    assert distinct_labels(mapped, "label", "here") == sorted(names)
    flags = '{"text": "a", "label": [1, 1, 0]}\n{"text": "b", "label": [0, 0, 1]}\n' * 9
    shown = train(csv(flags, "data.jsonl"))
    assert "labels of each text instead, such as {'label': ['sport', 'news']}" in shown
    lists = flags.replace("[1, 1, 0]", '["sport", "news"]').replace("[0, 0, 1]", '["art"]')
    train(csv(lists, "data.jsonl"), "--json")


# Held-out examples


@follows("data/hold_out.py", "a stream has no examples to hold out")
def test_a_stream_without_a_validation_split(table, train, csv):
    stream = Dataset.from_dict({name: 100 * values for name, values in ROWS.items()})
    stream = stream.to_iterable_dataset()
    message = (
        r"; pass a folder with train\.csv and validation\.csv, or, if the order of the examples is "
        r"random, \{'train': stream\.skip\(1_000\), 'validation': stream\.take\(1_000\)\}$"
    )
    with pytest.raises(DataError, match=message):
        tune(table, stream)
    tune(table, {"train": stream.skip(1_000), "validation": stream.take(1_000)})
    shown = train(csv(GOOD), "--streaming")
    assert shown.endswith("; pass a folder with train.csv and validation.csv\n")
    csv(GOOD, "folder/train.csv")
    train(csv(GOOD, "folder/validation.csv").parent, "--streaming", "--json")


@follows("data/hold_out.py", "is not a share between 0 and 1")
def test_a_share_out_of_range(csv):
    splits = open_splits(Dataset.from_dict(ROWS))
    message = (
        r"test=2 .* and there is no test split; pass test=0\.1, or pass DatasetDict\(train=\.\.\., "
        r"test=\.\.\.\), or pass a folder with train\.csv and test\.csv$"
    )
    with pytest.raises(DataError, match=message):
        hold_out(splits, "label", 2, 0, "test")
    assert len(hold_out(splits, "label", 0.1, 0, "test").test) == 2
    assert open_splits(DatasetDict(train=splits.train, test=splits.train)).test is splits.train
    csv(GOOD, "folder/train.csv")
    assert len(open_splits(csv(GOOD, "folder/test.csv").parent).test) == 20


@follows("data/hold_out.py", "holds out none of")
def test_a_share_that_is_too_small(table, train, csv):
    dataset = Dataset.from_dict(ROWS)
    message = (
        r"validation=0\.001 holds out none of 20 .*; pass a larger share, or more examples; or "
        r"pass DatasetDict\(train=\.\.\., validation=\.\.\.\), or pass a folder"
    )
    with pytest.raises(DataError, match=message):
        tune(table, dataset, validation=0.001)
    tune(table, dataset, validation=0.2)
    hold_out(open_splits(datasets.concatenate_datasets([dataset] * 50)), "label", 0.001, 0)
    assert "more examples; or pass a folder with" in train(csv(GOOD), "--validation", 0.001)
    csv(GOOD, "folder/train.csv")
    train(csv(GOOD, "folder/validation.csv").parent, "--json")


@follows("data/hold_out.py", "are not labels")
def test_a_column_without_labels():
    rows = {"text": ROWS["text"], "label": ROWS["label"], "parts": [{"a": [[1]]}] * 20}
    splits = open_splits(Dataset.from_dict(rows))
    with pytest.raises(DataError, match=r"; choose another column: label=\.\.\.$"):
        hold_out(splits, "parts", 0.2, 0)
    hold_out(splits, label="label", share=0.2, seed=0)


# Splits


@follows("data/reading/splits.py", "there is no training split")
def test_no_training_split(table, train, csv):
    dataset = Dataset.from_dict(ROWS)
    message = (
        r"; name one of them train: DatasetDict\(train=\.\.\., test=\.\.\.\), or a file train\.csv "
        "in a folder$"
    )
    with pytest.raises(DataError, match=message):
        tune(table, DatasetDict(first=dataset, test=dataset))
    tune(table, DatasetDict(train=dataset, test=dataset))
    folder = csv(GOOD, "folder/test.csv").parent
    assert train(folder).endswith("; name one of them train: a file train.csv in a folder\n")
    csv(GOOD, "folder/train.csv")
    train(folder, "--json")


@follows("data/reading/splits.py", "not a data set")
def test_splits_that_are_tuples():
    examples = [{"text": "a", "label": "x"}]
    message = (
        r"; wrap it: Dataset\.from_list\(\.\.\.\) or IterableDataset\.from_generator\(\.\.\.\)$"
    )
    with pytest.raises(DataError, match=message):
        open_splits({"train": tuple(examples)})
    open_splits({"train": Dataset.from_list(examples)})
    stream = datasets.IterableDataset.from_generator(lambda: iter([{"text": "a", "label": "x"}]))
    open_splits({"train": stream})


@follows("data/reading/splits.py", "a data set is a datasets.Dataset")
def test_columns_instead_of_a_data_set():
    with pytest.raises(DataError, match=r"; wrap columns: datasets\.Dataset\.from_dict\(\.\.\.\)$"):
        open_splits(list(ROWS.items()))
    splits = open_splits(datasets.Dataset.from_dict(ROWS))
    assert texts_of(splits.train, "text", "here") == ROWS["text"]
