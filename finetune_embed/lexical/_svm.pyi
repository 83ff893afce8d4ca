from typing_extensions import Buffer

def fit(
    columns: Buffer,
    values: Buffer,
    starts: Buffer,
    positive: Buffer,
    negative_cost: float,
    positive_cost: float,
    seed: int,
    tolerance: float,
    passes: int,
    weight: Buffer,
    /,
) -> int: ...
