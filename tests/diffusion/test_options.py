"""The options of sampling: what is refused, and what a listener hears."""

import pytest
from reference.tiny import pixels, tiny_model

from mcvd.diffusion.options import SamplingOptions
from mcvd.samplers import DDIM

PAST = pixels(2, 2, 1, 16, 16)


@pytest.mark.parametrize(
    ("name", "value"),
    [("precision", "int8"), ("guidance_drops", "all"), ("compile", "yes"), ("num_samples", 0), ("batch_size", 0)]
    + [("num_samples", "2"), ("batch_size", 1.5), ("seed", None), ("seed", -1), ("seed", "1"), ("seed", [0, 0.5])]
    + [(name, value) for name in ("guidance", "context_noise") for value in (float("nan"), float("inf"), "1", None)],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        SamplingOptions(**{name: value})
    with pytest.raises(ValueError, match=name):
        tiny_model().predict(PAST, 3, **{name: value})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"known": [PAST[0, 0]]}, "known is a dictionary of frames by their place, .* got a list"),
        ({"known": PAST[0]}, "got a Tensor"),
        ({"known_pixels": PAST[0, 0, 0] > 0}, "known_pixels .* give these too"),
    ],
)
def test_an_option_without_what_it_belongs_to_is_told(options, told):
    with pytest.raises(ValueError, match=told):
        tiny_model().predict(PAST, 3, **options)


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="num_sampels"):
        tiny_model().predict(PAST, 3, num_sampels=2)


@pytest.mark.parametrize("batch_size", [None, 1])
def test_progress_is_reported_before_each_call(batch_size):
    reported = []
    tiny_model().predict(PAST, 6, sampler=DDIM(2), batch_size=batch_size, on_progress=reported.append)
    num_calls = 4 if batch_size is None else 8  # two blocks of two steps, for both videos together or for each
    assert reported == [call / num_calls for call in range(num_calls)]


def test_what_the_listener_raises_ends_the_work():
    blocks = []

    def cancel(done):
        if done >= 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        blocks.extend(tiny_model().stream(PAST, 6, sampler=DDIM(2), on_progress=cancel))
    assert len(blocks) == 1
