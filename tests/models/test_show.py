"""`mcvd.show`: videos in a notebook, in pixels and in values."""

import pytest
import torch

import mcvd
from mcvd.models.codecs import Scale

RAIN = Scale(0.0, 100.0, "log", unit="mm/h", missing="nan")


def test_values_are_shown_in_colours_with_a_bar_that_tells_them():
    rain = torch.rand(2, 3, 1, 16, 16)
    rain[0, 0, 0, 0, 0] = torch.nan
    html = mcvd.show(rain, codec=RAIN)._repr_html_()
    assert html.count("<video") == 2 and html.count('class="colours"') == 1
    for words in ("Colours: mm/h, from 0 (dark blue) to 100 (yellow)", '<b style="left: 100.0%">100</b>', "missing"):
        assert words in html
    assert "rgb(128, 128, 128)" in html


def test_channels_are_chosen_and_pixels_have_no_bar():
    bands = torch.rand(2, 5, 16, 16)
    html = mcvd.show({"a": bands}, codec=Scale(0.0, 1.0, unit="K"), shown=(4, 2, 1))._repr_html_()
    assert "channel 4 red (0 to 1), channel 2 green (0 to 1), channel 1 blue (0 to 1) K" in html
    assert 'class="colours"' not in mcvd.show((255 * bands[:, :3]).byte())._repr_html_()


def test_values_that_nobody_explains_and_channels_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"float32 are values: .* codec"):
        mcvd.show(torch.rand(2, 1, 16, 16))
    with pytest.raises(ValueError, match="each 0 to 0"):
        mcvd.show(torch.rand(2, 1, 16, 16), codec=RAIN, shown=(1,))
