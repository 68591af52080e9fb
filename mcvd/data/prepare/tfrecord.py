"""TFRecord files of tf.train.Example messages, read without TensorFlow; files are not trusted.

A record is its length (8 bytes, little endian), the masked CRC-32C of that (4), the data, and the masked CRC-32C of the
data (4). The data are protocol buffers: Example {features = 1}, Features {feature = 1, a map}, its entries {key = 1,
value = 2}, Feature {bytes_list = 1, ...}, BytesList {value = 1, repeated}.
Sources: the TFRecord page of TensorFlow's documentation, the encoding page of protobuf.dev.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mcvd.video.decoders.base import VideoError

MAX_RECORD_BYTES = 256 << 20
_LENGTH_DELIMITED = 2


def read_records(path: str | Path, max_bytes: int = MAX_RECORD_BYTES, start: int = 0) -> Iterator[bytes]:
    """The data of each record, checked.

    Args:
        path: the file.
        max_bytes: longer records are refused before memory is taken.
        start: byte at which the first record begins.

    Raises:
        VideoError: if the file is cut off or a checksum is wrong.
        ModuleNotFoundError: without the package crc32c.
    """
    try:
        from crc32c import crc32c
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "TFRecord files need the package crc32c: python -m pip install 'mcvd[recipes]'"
        ) from None
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(start)
        while head := file.read(12):
            place = f"{path}: record at byte {file.tell() - len(head)}"
            if len(head) < 12:
                raise VideoError(f"{place} is cut off")
            length, length_crc = struct.unpack("<QI", head)
            if _masked(crc32c(head[:8])) != length_crc:
                raise VideoError(f"{place} has a wrong checksum of its length")
            if length > max_bytes or length + 4 > size - file.tell():
                raise VideoError(f"{place} claims {length} bytes, {max(0, size - file.tell() - 4)} are left")
            data = file.read(length)
            (crc,) = struct.unpack("<I", file.read(4))
            if _masked(crc32c(data)) != crc:
                raise VideoError(f"{place} has a wrong checksum of its data")
            yield data


def bytes_features(example: bytes) -> dict[str, bytes]:
    """The first value of every feature of a tf.train.Example that holds bytes; numbers are left out.

    Raises:
        ValueError: if the message is malformed.
    """
    found: dict[str, bytes] = {}
    for features in _fields(example, 1):
        for entry in _fields(features, 1):
            keys, values = list(_fields(entry, 1)), list(_fields(entry, 2))
            if len(keys) != 1 or len(values) != 1:
                raise ValueError("a feature without name or value")
            for bytes_list in _fields(values[0], 1):
                for value in _fields(bytes_list, 1):
                    found.setdefault(bytes(keys[0]).decode(), bytes(value))
    return found


def features(example: bytes) -> dict[str, list[bytes] | np.ndarray]:
    """All values of every feature of a tf.train.Example: texts as bytes, numbers as float32 or int64 arrays.

    Numbers must be packed, as every writer packs them.

    Raises:
        ValueError: if the message is malformed.
    """
    found: dict[str, list[bytes] | np.ndarray] = {}
    for each in _fields(example, 1):
        for entry in _fields(each, 1):
            keys, values = list(_fields(entry, 1)), list(_fields(entry, 2))
            if len(keys) != 1 or len(values) != 1:
                raise ValueError("a feature without name or value")
            name = bytes(keys[0]).decode()
            for kind, read in ((1, _texts), (2, _floats), (3, _integers)):
                for content in _fields(values[0], kind):
                    found[name] = read(content)
    return found


def _texts(message: memoryview) -> list[bytes]:
    return [bytes(value) for value in _fields(message, 1)]


def _floats(message: memoryview) -> np.ndarray:
    packed = b"".join(_fields(message, 1))
    if len(packed) % 4:
        raise ValueError(f"{len(packed)} bytes are no numbers of 4 bytes each")
    return np.frombuffer(packed, "<f4")


def _integers(message: memoryview) -> np.ndarray:
    found = []
    for packed in _fields(message, 1):
        at = 0
        while at < len(packed):
            value, at = _varint(packed, at)
            found.append(value - (1 << 64) if value >> 63 else value)
    return np.array(found, np.int64)


def _fields(message: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    """The length-delimited fields of one number in a message; others are passed over."""
    view = memoryview(message)
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _varint(view, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == _LENGTH_DELIMITED:
            length, at = _varint(view, at)
            if length > len(view) - at:
                raise ValueError(f"a field claims {length} bytes, {len(view) - at} are left")
            if number == wanted:
                yield view[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
    if at > len(view):
        raise ValueError("a field is cut off")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise ValueError("a number is cut off")
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 10 bytes")


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
