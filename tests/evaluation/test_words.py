"""Settings in words."""

import pytest

from mcvd.evaluation.words import in_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("DDIM(num_steps=8, clip=True, spacing=Uniform())", "DDIM (num steps 8, clip yes, spacing Uniform)"),
        ("Uniform()", "Uniform"),
        ("mcvd fit --config small (a run)", "mcvd fit --config small (a run)"),
        ([], "none"),
        ((1, None), "1, not known"),
        ({"binary_ssim": False}, "binary ssim no"),
        (0.1 + 0.2, "0.3"),
    ],
)
def test_settings_become_words(value, words):
    assert in_words(value) == words
