"""Files of other formats, file objects and archives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from inspecting import SOUND, findings

import finetune_embed as fe
from finetune_embed.errors import VectorFileError
from finetune_embed.inspection import inspect


def test_the_library_s_own_file_and_its_provenance(tmp_path, table):
    path = tmp_path / "table.safetensors"
    fe.save_safetensors(table, path)
    report = inspect(path)
    assert (report.source_format, report.words, report.findings) == ("safetensors", 5, ())
    assert report.metadata["library_version"] == fe.__version__
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    report = inspect(path)
    assert report.words == 0
    assert [finding.code for finding in report.findings] == ["unreadable"]


def test_words_that_only_safetensors_can_hold(tmp_path):
    path = tmp_path / "table.safetensors"
    fe.save_safetensors(fe.EmbeddingTable(["a\nb", "", "c d"], np.ones((3, 2))), path)
    found = findings(path)
    assert found["white_space"].examples == (r"'a\nb' (row 1)",)
    assert found["empty_words"].examples == ("row 2",)
    assert found["spaces"].examples == ("'c d' (row 3)",)


def test_file_objects_and_members_of_archives(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", SOUND)
        archive.writestr("b.txt", b"a 1 2 3\n")
    report = inspect(tmp_path / "two.zip", member="b.txt")
    assert (report.words, report.vector_size, report.compression) == (1, 3, "zip")
    with pytest.raises(VectorFileError, match="holds several files"):
        inspect(tmp_path / "two.zip")
    report = inspect(io.BytesIO(SOUND))
    assert (report.words, report.size) == (9, None)


def test_every_golden_file_is_reported_as_its_loader_reads_it(golden):
    seen, dtypes = set(), {}
    for path in [*golden.glob("tiny.*"), *golden.glob("static/*"), *golden.glob("spacy/*")]:
        try:
            table = fe.load_vectors(path)
        except VectorFileError:
            continue
        report = inspect(path)
        again = sum(one.count for one in report.findings if one.code == "duplicates")
        assert (report.words - again, report.vector_size) == (len(table), table.vector_size)
        assert not any(finding.severity == "error" for finding in report.findings)
        seen.add(report.source_format)
        dtypes[path.name] = report.dtype
    assert seen >= {"glove", "word2vec", "word2vec-binary", "safetensors"}
    others = {name: dtype for name, dtype in dtypes.items() if dtype not in ("float32", "text")}
    assert others == {
        "model2vec-float16": "float16",
        "model2vec-float64": "float64",
        "model2vec-int8": "int8",
        "model2vec-quantised-int8": "int8",
        "tiny.bfloat16.safetensors": "bfloat16",
        "tiny.dataset": "float64",
        "tiny.fasttext-nongrams.ftz": "product-quantised",
        "tiny.fasttext-pruned.ftz": "product-quantised",
        "tiny.fasttext-qnorm.ftz": "product-quantised",
        "tiny.fasttext-qout.ftz": "product-quantised",
        "tiny.fasttext-quantized.ftz": "product-quantised",
        "tiny.fasttext-retrained.ftz": "product-quantised",
        "tiny.float16.safetensors": "float16",
        "tiny.int8.safetensors": "int8",
        "tiny.numpy.npz": "float64",
        "tiny.shards": "int8",
        "tiny.shrunk.safetensors": "pq",
        "vectors": "float16",
    }
    assert len(dtypes) - len(others) >= 20


def test_metadata_of_another_file_are_not_taken_for_this_one(tmp_path):
    metadata = {"source_format": "arrow", "source_dtype": "int8", "duplicates": "many"}
    table = fe.EmbeddingTable(["a", "b"], np.ones((2, 2), np.float32), metadata)
    fe.save_arrow(table, tmp_path / "x")
    fe.save_safetensors(table, tmp_path / "y")
    for name in ("x", "y"):
        report = inspect(tmp_path / name)
        assert (report.dtype, report.words) == ("float32", 2)
        assert "duplicates" not in [finding.code for finding in report.findings]
