"""Any pretrained word-vector file in, a tuned vector file out; in between, a plain nn.Embedding.

The public names are those of `__init__.pyi`, each imported when it is first used: reading and
writing vector files does not import torch.
"""

from importlib.metadata import version as _version

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = _version("finetune_embed")
