"""What the axes of an array are: letters, from the names that files give them or from their number."""

from __future__ import annotations

from collections.abc import Sequence

LETTERS = "NTCHW"
"""N sequences, T time, C channels, H height, W width."""

_NAMES = {
    "N": "n sequence sequences sample samples event events member members number ensemble realization video case batch",
    "T": "t time times valid_time step steps frame frames lead_time leadtime forecast_time date",
    "C": "c channel channels band bands variable variables level levels s",
    "H": "h y yc lat lats latitude row rows height south_north north_south nlat ny projection_y_coordinate northing",
    "W": "w x xc lon lons longitude col cols column columns width west_east east_west nlon nx projection_x_coordinate "
    "easting",
}
_LETTER_OF = {name: letter for letter, names in _NAMES.items() for name in names.split()}
_USUAL = {2: "HW", 3: "THW", 4: "TCHW", 5: "NTCHW"}


def axes_from_names(names: Sequence[str | None]) -> str | None:
    """The letters of named axes; None where one has an unknown name, or two have the same meaning.

    Examples:
        >>> axes_from_names(["valid_time", "latitude", "longitude"])
        'THW'
    """
    letters = "".join(_LETTER_OF.get((name or "").lower(), "?") for name in names)
    return letters if check_axes(letters) else None


def usual_axes(num_axes: int) -> str | None:
    """The letters of so many axes where nothing tells them: HW, THW, TCHW or NTCHW."""
    return _USUAL.get(num_axes)


def check_axes(axes: str) -> bool:
    """Whether these are axes of fields: letters of `LETTERS`, each once, H and W among them."""
    return len(set(axes)) == len(axes) and set("HW") <= set(axes) <= set(LETTERS)
