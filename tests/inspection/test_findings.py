"""Every finding on a small literal file, and how it is rendered."""

from __future__ import annotations

import pytest
from inspecting import SOUND, findings

from finetune_embed.cli.output import CommandLineForm
from finetune_embed.errors import Option, PythonForm, VectorFileError
from finetune_embed.inspection import inspect
from finetune_embed.inspection.findings import finding_from

# name: (bytes after the sound lines, code, severity, count, examples)
ODD = {
    "few numbers": (b"a 1\nb 1 2\n", "short_lines", "error", 1, ("'a 1' (line 10)",)),
    "cut short": (b"a 1 2\nb 1", "short_lines", "error", 1, ("'b 1' (line 11)",)),
    "words among numbers": (
        b"a 1 2\nb 1 x\nc y 2\n",
        "not_numbers",
        "error",
        2,
        ("'x' (line 11)", "'y' (line 12)"),
    ),
    "blank lines": (b"\n \r\na 1 2\n\n", "blank_lines", "error", 2, ("line 10", "line 11")),
    "duplicates": (
        b"w1 3 4\nw2 5 6\nw1 7 8\n",
        "duplicates",
        "warning",
        3,
        ("'w1' (line 10 after 2)", "'w2' (line 11 after 3)", "'w1' (line 12 after 2)"),
    ),
    "empty": (b" 1 2\n", "empty_words", "warning", 1, ("line 10",)),
    "spaces": (b". . 1 2\na b c 1 2\n", "spaces", "warning", 2, ("'. .' (line 10)",)),
    "two lines in one": (
        b"a 0.5 1 b 1 2\n",
        "swallowed_numbers",
        "warning",
        1,
        ("'a 0.5 1 b' (line 10)",),
    ),
    "no-break space": (
        "a\xa0b 1 2\n\u3000 1 2\na\tb 1 2\n".encode(),
        "white_space",
        "warning",
        3,
        (r"'a\xa0b' (line 10)", r"'\u3000' (line 11)", r"'a\tb' (line 12)"),
    ),
    "control characters": (
        b"a\x00b 1 2\n\x7f 1 2\n\xc2\x9f 1 2\n",
        "control_characters",
        "warning",
        3,
        (r"'a\x00b' (line 10)", r"'\x7f' (line 11)", r"'\x9f' (line 12)"),
    ),
    "latin-1": (b"caf\xe9 1 2\n", "not_utf8", "warning", 1, (r"b'caf\xe9' (line 10)",)),
    "zero": (b"a 0 -0\n", "zero_rows", "warning", 1, ("'a' (line 10)",)),
    "zero padding": (b"<pad> 0 0\n", "zero_rows", "note", 1, ("'<pad>' (line 10)",)),
    "NaN": (b"a nan 0\nb 1 inf\n", "nan_rows", "warning", 1, ("'a' (line 10)",)),
    "infinite": (b"a nan inf\nb 1 -inf\nc inf 1\n", "infinite_rows", "warning", 2, None),
    "too large": (b"a 1 2\nc 1e39 1\n", "not_numbers", "error", 1, ("'1e39' (line 11)",)),
    "far": (b"a 30 40\n", "outlier_norms", "note", 1, ("'a' 50 (line 10)",)),
    "huge": (b"a 3e19 4e19\n", "outlier_norms", "warning", 1, ("'a' 5e+19 (line 10)",)),
    "invisible": (
        "a\u200bb 1 2\n".encode(),
        "invisible_characters",
        "note",
        1,
        (r"'a\u200bb' (line 10)",),
    ),
    "no last newline": (b"a 1 2", "unclosed", "note", 1, ()),
}


@pytest.mark.parametrize("case", ODD)
def test_each_finding(case, write):
    data, code, severity, count, examples = ODD[case]
    path = write(SOUND + data)
    found = findings(path)
    assert (found[code].severity, found[code].count) == (severity, count)
    assert found[code].remedy
    if examples is not None:
        assert found[code].examples[: len(examples)] == examples
    others = {"outlier_norms", "unclosed", "nan_rows", "infinite_rows"}
    assert found.keys() - others == {code} - others
    assert inspect(path).is_clean is (severity == "note")


def test_a_first_line_with_a_byte_order_mark_and_carriage_returns(write):
    found = findings(write(b"\xef\xbb\xbfa 1 2\r\nb 3 4\r\n"))
    assert {code: finding.severity for code, finding in found.items()} == {
        "bom": "note",
        "crlf": "note",
    }


def test_at_most_five_examples_are_kept_and_all_are_counted(write):
    found = findings(write(SOUND * 3))["duplicates"]
    assert found.count == 18
    assert len(found.examples) == 5
    assert str(found).startswith(
        "warning: rows that repeat an earlier word, and are left out: 18, 'w0' (line 10 after 1), "
    )
    assert " ...\n  write the table again" in str(found)


def test_decimal_commas_have_their_own_remedy(write):
    found = findings(write(SOUND + b"a 0,5 1\n"))["not_numbers"]
    assert found.examples == ("'0,5' (line 10)",)
    assert found.remedy == "correct the lines, with points for decimal commas, or remove them"


def test_a_finding_from_an_error_has_its_fields():
    remedy = ("pass ", Option("limit", 1))
    error = VectorFileError(
        "must be 1 or more", option="limit", value=0, where="a.txt:3", remedy=remedy
    )
    finding = finding_from(error, "unreadable", "a.txt")
    assert (finding.where, finding.remedy) == ("a.txt:3", remedy)
    assert finding.message() == "a.txt:3: limit=0 must be 1 or more"
    assert str(finding) == "error: a.txt:3: limit=0 must be 1 or more\n  pass limit=1"
    finding = finding_from(VectorFileError("no words", where="a.txt"), "unreadable", "a.txt")
    assert (finding.where, finding.remedy) == (None, "fetch the file again")


NAMES = ["what is this.txt", "limit=3, which is not lr=0.1; remedy.txt", "a: b; c (line 7)"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_change_nothing(name, write):
    path = write(SOUND + b"a x 1\nb 0,5 1\n", name)
    report = inspect(path)
    (found,) = report.findings
    assert (found.code, found.examples) == ("not_numbers", ("'x' (line 10)", "'0,5' (line 11)"))
    for form in (PythonForm(), CommandLineForm(None)):
        assert report.render(form).startswith(f"{path}: glove, 9 words x 2\n")
    header = write(b"2 3\n" + SOUND, name)
    assert inspect(header).findings[0].where == f"{header}:1"


def test_remedies_are_for_python_or_for_the_command_line(write):
    path = write(SOUND + b"a 0 0\n")
    report = inspect(path)
    assert report.render(PythonForm()) == str(report)
    assert "\n    remove them: table.subset(words_to_keep)" in str(report)
    command = f"remove them: finetune-embed convert {path} NEW_FILE --keys WORDS_TO_KEEP.txt"
    assert f"\n    {command}" in report.render(CommandLineForm(None))
    assert report.to_dict()["findings"][0]["remedy"] == "remove them: table.subset(words_to_keep)"
    assert report.to_dict(CommandLineForm(None))["findings"][0]["remedy"] == command


def test_a_command_stays_in_one_line_whatever_the_name_of_the_file(write):
    path = write(SOUND + b"w1 3 4\n", "a\nb.txt")
    shown = inspect(path).render(CommandLineForm(None))
    assert ": finetune-embed convert FILE new.safetensors\n" in shown
    call = f"save_safetensors(load_vectors({str(path)!r}), 'new.safetensors')"
    assert f": {call}\n" in str(inspect(path))
