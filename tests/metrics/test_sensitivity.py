"""The distance grows with every damage: a wrong sign or axis cannot hide."""

import pytest
from reference.damaged_clips import DAMAGES, distances, streets, undamaged


@pytest.fixture(scope="module")
def clips():
    return streets(8, size=32)


@pytest.fixture(scope="module")
def clean(clips):
    return undamaged(clips, size=32)


@pytest.mark.parametrize("kind", DAMAGES)
def test_more_damage_is_further_away(clips, clean, kind):
    found = distances(clips, kind, clean)
    assert 0 < found[0] < found[1] < found[2]
