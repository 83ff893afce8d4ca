from typing_extensions import Buffer

def word_set(words: list[bytes], /) -> bytes: ...
def parse_text(
    data: Buffer, vector_size: int, most: int, word_set: bytes | None, /
) -> tuple[bytearray, bytearray, int, bytearray, int, int]: ...
def parse_binary(
    data: Buffer,
    vector_size: int,
    most: int,
    word_set: bytes | None,
    is_last: bool = True,
    before: int = 0,
    /,
) -> tuple[bytearray, bytearray, int, int, int, int, int, int]: ...
def format_text(words: Buffer, vectors: Buffer, vector_size: int, /) -> bytearray: ...
def format_binary(words: Buffer, vectors: Buffer, vector_size: int, /) -> bytearray: ...
