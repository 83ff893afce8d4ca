"""Every optimizer by name, and optimizers from text such as `adagrad(per_row=True)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch.optim.optimizer import ParamsT

from ..errors import StrategyError
from ..parsing import parse_call
from .row_adagrad import RowAdagrad
from .row_adamw import RowAdamW
from .row_optimizer import RowOptimizer
from .row_sgd import RowSGD

__all__ = ["OPTIMIZERS", "build_optimizer"]

#: The optimizers that a text form can name: `adamw`, `adagrad(per_row=True)`, `sgd(momentum=0.9)`.
OPTIMIZERS: dict[str, type[RowOptimizer]] = {
    "adamw": RowAdamW,
    "adagrad": RowAdagrad,
    "sgd": RowSGD,
}
#: Options that a text form lacks: groups have their own, or they concern the whole run.
_ELSEWHERE = ("lr", "weight_decay", "max_grad_norm", "exchange")


def build_optimizer(text: str, params: ParamsT, **given: Any) -> RowOptimizer:
    """Return the optimizer of a text form such as `adagrad(per_row=True)`.

    Args:
        text: a name in `OPTIMIZERS`, optionally with options.
        params: its parameters or groups.
        given: options that the text form lacks.

    Raises:
        StrategyError: a name or an option is unknown, or an option is out of its range.
    """
    known = {name: _by_text(kind, given) for name, kind in OPTIMIZERS.items()}
    return parse_call(text, known, "optimizer", StrategyError, params)


def _by_text(kind: type[RowOptimizer], given: dict[str, Any]) -> Callable[..., RowOptimizer]:
    """Return a function of the parameters and the options that a text form has."""

    def build(params: ParamsT, **options: Any) -> RowOptimizer:
        made: Callable[..., RowOptimizer] = kind
        return made(params, **given, **options)

    signature = inspect.signature(kind)
    kept = [one for name, one in signature.parameters.items() if name not in _ELSEWHERE]
    vars(build)["__signature__"] = signature.replace(parameters=kept)
    return build
