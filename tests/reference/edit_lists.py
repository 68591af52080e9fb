"""Videos of which an edit list shows parts, as phones and ``ffmpeg -ss ... -c copy`` trim them."""

import struct


def show_parts(source, path, parts, ticks_per_frame, movie_ticks_per_frame):
    """A copy of an mp4 with one track that shows parts of it, one after the other.

    Args:
        source: written by FFmpeg, with an edit list of one entry and the index after the frames.
        parts: (start, num_frames) in frames each.
        ticks_per_frame, movie_ticks_per_frame: duration of a frame in units of the track and of the film.
    """
    content = source.read_bytes()
    place = content.index(b"elst") - 4
    size, _, version, count, _, first, rate = struct.unpack_from(">I4sIIIiI", content, place)
    assert (version, count, rate) == (0, 1, 0x10000) and content.index(b"mdat") < content.index(b"moov")
    edits = b"".join(
        struct.pack(">IiI", round(frames * movie_ticks_per_frame), first + round(start * ticks_per_frame), rate)
        for start, frames in parts
    )
    box = struct.pack(">I4sII", 16 + len(edits), b"elst", 0, len(parts)) + edits
    changed = bytearray(content[:place] + box + content[place + size :])
    for above in (b"edts", b"trak", b"moov"):
        start = changed.index(above) - 4
        (old,) = struct.unpack_from(">I", changed, start)
        struct.pack_into(">I", changed, start, old + len(box) - size)
    path.write_bytes(changed)
    return path
