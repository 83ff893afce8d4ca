from typing_extensions import Buffer

def group(
    ids: Buffer, end: int, lengths: Buffer | None, rows: Buffer, order: Buffer, starts: Buffer, /
) -> int: ...
def increasing(ids: Buffer, end: int, /) -> bool: ...
def sum_rows(
    values: Buffer,
    source: Buffer,
    starts: Buffer,
    lengths: Buffer | None,
    out: Buffer,
    size: int,
    threads: int,
    /,
) -> None: ...
def squares(values: Buffer, out: Buffer, size: int, threads: int, /) -> None: ...
def nonzero_rows(
    values: Buffer,
    source: Buffer | None,
    starts: Buffer | None,
    lengths: Buffer | None,
    out: Buffer,
    size: int,
    threads: int,
    /,
) -> int: ...
def find_slots(index: Buffer, rows: Buffer, slots: Buffer, /) -> int: ...
def count_steps(steps: Buffer, slots: Buffer, counts: Buffer, /) -> None: ...
def adam(
    weight: Buffer,
    rows: Buffer,
    grad: Buffer,
    source: Buffer | None,
    starts: Buffer | None,
    lengths: Buffer | None,
    exp_avg: Buffer,
    exp_avg_sq: Buffer,
    slots: Buffer,
    counts: Buffer,
    scale: Buffer | None,
    clip: Buffer | None,
    decay: Buffer | None,
    lr: float,
    eps: float,
    beta1: float,
    beta2: float,
    size: int,
    threads: int,
    /,
) -> None: ...
def text_features(
    order: Buffer | None,
    starts: Buffer,
    lengths: Buffer,
    pools: Buffer,
    widths: Buffer,
    size: int,
    rows: Buffer,
    added: Buffer,
    bias: Buffer,
    out: Buffer,
    at: Buffer | None,
    threads: int,
    /,
) -> None: ...
def text_gradients(
    order: Buffer,
    starts: Buffer,
    lengths: Buffer,
    pools: Buffer,
    widths: Buffer,
    size: int,
    rows: Buffer,
    weights: Buffer,
    at: Buffer,
    grad: Buffer,
    weight_grad: Buffer,
    bias_grad: Buffer,
    row_grad: Buffer | None,
    /,
) -> None: ...
