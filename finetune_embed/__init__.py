"""Any pretrained word-vector file in, a tuned vector file out; in between, a plain nn.Embedding.

The public names are those of `__init__.pyi`, each imported when it is first used: reading and
writing vector files does not import torch.
"""

import lazy_loader as _lazy

_public, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Return a public name, or the version: to find that out takes longer than all of the rest."""
    if name == "__version__":
        from importlib.metadata import version

        return version("finetune_embed")
    return _public(name)
