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
    rate: Buffer,
    eps: Buffer,
    clip: Buffer | None,
    decay: Buffer | None,
    beta1: float,
    beta2: float,
    size: int,
    threads: int,
    /,
) -> None: ...
def window_maxima(
    values: Buffer,
    numbers: Buffer,
    starts: Buffer,
    out: Buffer,
    at: Buffer,
    width: int,
    size: int,
    threads: int,
    /,
) -> None: ...
def window_gradient(
    grad: Buffer,
    at: Buffer,
    numbers: Buffer,
    starts: Buffer,
    out: Buffer,
    width: int,
    size: int,
    /,
) -> None: ...
