from typing_extensions import Buffer

def place(keys: Buffer, slots: Buffer, /) -> None: ...
def count_words(
    ids: Buffer,
    lengths: Buffer,
    columns: Buffer,
    counts: Buffer,
    starts: Buffer,
    pairs: Buffer,
    slots: Buffer,
    size: int,
    /,
) -> int: ...
def count_parts(
    numbers: Buffer,
    lengths: Buffer,
    columns: Buffer,
    counts: Buffer,
    starts: Buffer,
    parts: Buffer,
    starts_of_parts: Buffer,
    /,
) -> int: ...
def weigh(
    columns: Buffer, counts: Buffer, starts: Buffer, idf: Buffer, scales: Buffer, values: Buffer, /
) -> None: ...
