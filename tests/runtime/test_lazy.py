"""Exports that are loaded on first use."""

import pytest

from mcvd.runtime.lazy import lazy_exports


def test_names_are_imported_on_first_use_and_others_are_refused():
    get, names = lazy_exports("somewhere", {"Path": "pathlib", "OrderedDict": "collections"})
    assert get("Path").__module__.startswith("pathlib") and names() == ["OrderedDict", "Path"]
    with pytest.raises(AttributeError, match="'somewhere' has no attribute 'Paht'"):
        get("Paht")
