from typing_extensions import Buffer

def place(keys: Buffer, slots: Buffer, width: int, /) -> None: ...
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
def find_ngrams(
    characters: Buffer,
    lengths: Buffer,
    parts: Buffer,
    starts: Buffer,
    ngrams: Buffer,
    slots: Buffer,
    known: int,
    /,
) -> int: ...
def weigh(
    columns: Buffer, counts: Buffer, starts: Buffer, idf: Buffer, scales: Buffer, values: Buffer, /
) -> None: ...
def score(
    ids: Buffer,
    numbers: Buffer,
    lengths: Buffer,
    pairs: Buffer,
    slots: Buffer,
    size: int,
    parts: Buffer,
    starts_of_parts: Buffer,
    idf: Buffer,
    idf_of_parts: Buffer,
    weight: Buffer,
    scores: Buffer,
    /,
) -> None: ...
