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
def mean_bags(
    weight: Buffer, ids: Buffer, lengths: Buffer, out: Buffer, size: int, threads: int, /
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
def find_slots(rows: Buffer, index: Buffer, slots: Buffer, count: int, /) -> int: ...
def count_steps(
    steps: Buffer,
    slots: Buffer,
    beta1: float,
    beta2: float,
    lr: float,
    eps: float,
    rates: Buffer,
    epsilons: Buffer,
    /,
) -> None: ...
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
def adam_dense(
    weight: Buffer,
    grad: Buffer,
    exp_avg: Buffer,
    exp_avg_sq: Buffer,
    rate: float,
    eps: float,
    decay: float,
    beta1: float,
    beta2: float,
    threads: int,
    /,
) -> None: ...
