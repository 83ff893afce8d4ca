"""A keyword that is not a setting is an error that names the one meant."""

from __future__ import annotations

import pytest

import finetune_embed as fe


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fe.finetune("v", "d", epoch=3),
            r"finetune\(\) got an .* 'epoch'; did you mean epochs\?$",
        ),
        (lambda: fe.finetune("v", "d", zzz=3), r"finetune\(\) got an unexpected .* 'zzz'$"),
        (lambda: fe.compare(["Freeze"], "v", "d", seedz=3), r"compare\(\) got .* 'seedz'"),
    ],
)
def test_a_keyword_that_is_not_a_setting(call, message):
    with pytest.raises(TypeError, match=message):
        call()
