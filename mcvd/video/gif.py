"""The structure of GIF files: how many frames one holds, and files that hold every frame, also equal ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_CONTROL, _IMAGE, _EXTENSION = b"\x21\xf9", b"\x2c", b"\x21"
# One pixel in the corner that is transparent: it changes nothing.
_NOTHING = b"\x2c" + bytes(4) + b"\x01\x00\x01\x00\x00" + b"\x02\x02\x44\x01\x00"


def with_repeats(content: bytes, delays: Sequence[int]) -> bytes:
    """A GIF as Pillow writes it, which makes one long frame of equal ones, with a frame for each of them again.

    Args:
        content: the file; the delay of each of its frames is the sum of those of one or more of ``delays``.
        delays: how long each frame is to be shown, in hundredths of a second, 1 or more.
    """
    parts, remaining = [content[: _header_bytes(content)]], list(delays)
    for block in _blocks(content):
        if block.startswith(_CONTROL):
            shown = int.from_bytes(block[4:6], "little")
            own = [remaining.pop(0)]
            while sum(own) < shown:
                own.append(remaining.pop(0))
            parts.append(block[:4] + own[0].to_bytes(2, "little") + block[6:])
        else:
            parts.append(block)
        if block.startswith(_IMAGE):
            for delay in own[1:]:
                parts += [b"\x21\xf9\x04\x05" + delay.to_bytes(2, "little") + b"\x00\x00", _NOTHING]
    return b"".join(parts)


def count_images(content: bytes) -> int:
    """How many frames a GIF holds, up to where it is cut off."""
    return sum(block.startswith(_IMAGE) and len(block) > 10 for block in _blocks(content))


def _header_bytes(content: bytes) -> int:
    """Size of the header with the palette of all frames."""
    return 13 + _palette_bytes(content[10])


def _palette_bytes(flags: int) -> int:
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _blocks(content: bytes) -> Iterator[bytes]:
    """Extensions, images and the end, each whole."""
    start = _header_bytes(content)
    while start < len(content):
        stop = start + 1
        if content[start : start + 1] in (_EXTENSION, _IMAGE):
            is_image = content[start : start + 1] == _IMAGE
            stop = start + (11 + _palette_bytes(content[min(start + 9, len(content) - 1)]) if is_image else 2)
            while stop < len(content) and content[stop]:  # parts, each after its size
                stop += 1 + content[stop]
            stop += 1
        yield content[start:stop]
        start = stop
