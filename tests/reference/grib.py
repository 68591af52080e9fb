"""GRIB 2 files as weather services write them, by ecCodes."""

import gzip
from datetime import datetime, timedelta

import numpy as np

ABSENT = 9999.0  # what ecCodes puts where a bitmap says so, if nobody says otherwise


def message(field, moment, packing="grid_ieee", **keys):
    """One message of a field (H, W) on latitudes and longitudes; NaN is absent by a bitmap."""
    import eccodes

    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    height, width = field.shape
    grid = {
        "Ni": width,
        "Nj": height,
        "latitudeOfFirstGridPointInDegrees": 55.0,
        "latitudeOfLastGridPointInDegrees": 55.0 - (height - 1) / 4,
        "longitudeOfFirstGridPointInDegrees": 230.0,
        "longitudeOfLastGridPointInDegrees": 230.0 + (width - 1) / 4,
        "iDirectionIncrementInDegrees": 0.25,
        "jDirectionIncrementInDegrees": 0.25,
    }
    when = {"dataDate": int(moment.strftime("%Y%m%d")), "dataTime": int(moment.strftime("%H%M"))}
    if np.isnan(field).any():
        keys |= {"bitmapPresent": 1, "missingValue": ABSENT}
    first = {"packingType": packing} if packing == "grid_ieee" else {}  # of PNG the number of bits must be known before
    for key, value in (first | grid | when | keys).items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, np.nan_to_num(field, nan=ABSENT).astype(np.float64).ravel())
    if not first:
        eccodes.codes_set(handle, "packingType", packing)
    content = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return content


def write_grib(path, fields, minutes=15, **options):
    """Fields (T, H, W), a message each; a name that ends in .gz packs them."""
    start = datetime(2024, 5, 1, 6)
    messages = [message(field, start + k * timedelta(minutes=minutes), **options) for k, field in enumerate(fields)]
    content = b"".join(messages)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
