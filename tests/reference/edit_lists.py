"""Videos of which an edit list shows a part, as phones and ``ffmpeg -ss ... -c copy`` trim them."""

import struct


def show_part(source, path, start, num_frames, ticks_per_frame, movie_ticks_per_frame):
    """A copy of an mp4 with one track that shows ``num_frames`` frames from frame ``start`` on.

    Args:
        source: written by FFmpeg, with an edit list of one entry.
        ticks_per_frame, movie_ticks_per_frame: duration of a frame in units of the track and of the film.
    """
    content = bytearray(source.read_bytes())
    place = content.index(b"elst") + 4
    version, count, _, media_time, rate = struct.unpack_from(">IIIiI", content, place)
    assert (version, count, rate) == (0, 1, 0x10000)
    media_time += round(start * ticks_per_frame)
    struct.pack_into(">IIIiI", content, place, 0, 1, round(num_frames * movie_ticks_per_frame), media_time, rate)
    path.write_bytes(content)
    return path
