"""A member of an archive is named as a whole, or not at all."""

from __future__ import annotations

import shlex

import pytest
from packing import tarred, zipped

import finetune_embed as fe
from finetune_embed.cli import main

TEXT = b"king 1 2\nqueen 3 4\n"
NAMES = {
    "plain": "vectors.txt",
    "200": "v" * 200 + ".txt",
    "255": "v" * 251 + ".txt",
    "deep": "/".join(["folder" * 8] * 6) + "/vectors.txt",
    "dash": "--vectors.txt",
    "spaces": "my vectors (1).txt",
    "quotes": 'it\'s "50" d.txt',
}


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", NAMES)
def test_the_named_member_is_read(tmp_path, monkeypatch, capsys, name, pack):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").write_bytes(pack((NAMES[name], TEXT * 9), ("README", TEXT)))
    with pytest.raises(fe.VectorFileError) as error:
        fe.load_vectors("archive")
    (member,) = (part.value for part in error.value.remedy if not isinstance(part, str))
    assert f"; name the one to read: member={NAMES[name]!r}" in str(error.value)
    assert len(fe.load_vectors("archive", member=member)) == 2
    with pytest.raises(SystemExit):
        main(["inspect", "archive"])
    options = capsys.readouterr().err.partition("name the one to read: ")[2]
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", "archive", *shlex.split(options)])
    assert stopped.value.code == 0


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["v" * 1000, "'" * 200, "a\nb.txt"], ids=["long", "'", "newline"])
def test_a_name_that_no_message_can_hold(tmp_path, name, pack):
    path = tmp_path / "archive"
    path.write_bytes(pack((name, TEXT * 9), ("README", TEXT)))
    with pytest.raises(fe.VectorFileError, match="; unpack it and pass the file of vectors"):
        fe.load_vectors(path)
    assert len(fe.load_vectors(path, member=name)) == 2
