"""What `RowAdamW` refuses: options, states and gradients that don't fit, each with its cure."""

from __future__ import annotations

import torch

from .row_state import BY_ROW, State

__all__ = ["check_group", "check_state", "takes_part"]


def check_group(group: State, max_grad_norm: float | None) -> None:
    """Check the numbers of a parameter group."""
    lr, betas, eps, weight_decay = (group[n] for n in ("lr", "betas", "eps", "weight_decay"))
    numbers = all(value >= 0 for value in (lr, eps, weight_decay))  # NaN is not
    if not numbers or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(
            f"lr={lr}, eps={eps} and weight_decay={weight_decay} must be 0 or more, and "
            f"betas={betas} at least 0 and below 1"
        )
    if group["second_moment"] not in ("element", "row"):
        raise ValueError(f"second_moment={group['second_moment']!r}: it is 'element' or 'row'")
    for name, limit in (
        ("max_grad_norm", max_grad_norm),
        ("max_row_grad_norm", group["max_row_grad_norm"]),
    ):
        if limit is not None and not limit > 0:
            raise ValueError(f"{name}={limit} must be above 0, or None for no limit")


def takes_part(parameter: torch.Tensor, group: State, exchange: bool) -> bool:
    """Tell whether a step is about a row-wise parameter: on all ranks or on none."""
    if not exchange:
        return parameter.grad is not None
    if not group["row_wise"]:
        raise ValueError(
            f"a table {tuple(parameter.shape)} with a sparse gradient is in a group without "
            "row_wise=True; with exchange=True all processes must know of it, also those without a "
            "gradient: RowAdamW([{'params': [weight], 'row_wise': True}, ...], exchange=True)"
        )
    return parameter.requires_grad


def check_state(entries: State, weight: torch.Tensor, number: int) -> None:
    """Look at entries that are about to be loaded for a weight `(V, D)`.

    Raises:
        ValueError: they are of an older layout with a slot for each row of the table, or they
            don't fit the weight.
    """
    at = f"the optimizer state of parameter {number}"
    step = entries.get("step")
    if "rows" not in entries:
        if isinstance(step, torch.Tensor) and step.ndim:
            raise ValueError(
                f"{at} has a slot for each of {len(step):,} rows, the layout of an older version; "
                "this one has slots for touched rows only. Start the run over, or go on without "
                "the old moments: RowAdamW(groups) and no load_state_dict"
            )
        return
    rows, size = entries["rows"], tuple(weight.shape[1:])
    count = len(rows)
    for name in BY_ROW:
        shapes = {
            "exp_avg": [(count, *size)],
            "exp_avg_sq": [(count,), (count, *size)],
        }.get(name, [(count,)])
        value = entries.get(name)
        if value is None and name != "decay_seen":
            raise ValueError(f"{at} has rows, but no {name}; load the whole of a state_dict()")
        if value is not None and tuple(value.shape) not in shapes:
            raise ValueError(
                f"{at} has {name} of shape {tuple(value.shape)}, which for {count:,} rows of a "
                f"table {tuple(weight.shape)} must be {' or '.join(map(str, shapes))}; load it "
                "into an optimizer over the parameters it was saved with"
            )
    if count and (int(rows.min()) < 0 or int(rows.max()) >= len(weight)):
        raise ValueError(
            f"{at} has rows up to {int(rows.max()):,}, the table {len(weight):,} rows; load it "
            "into an optimizer over the table it was saved with"
        )
    if len(rows.unique()) < count:
        raise ValueError(f"{at} has a row twice; it is damaged")
