"""The published protocols, and the clips that they choose."""

import numpy as np
import pytest

from mcvd.data.clips.sampling import SeededClips
from mcvd.data.clips.spec import ClipIndex
from mcvd.evaluation.protocols import PROTOCOLS, find_protocol

INDEX = ClipIndex(np.array([0, 0, 2]), np.array([0, 5, 0]), np.array([5, 9, 4]), np.array([0, 8, 2]), np.ones(3, int))


def test_start_frames_depend_on_seed_and_number_alone():
    clips = SeededClips(INDEX, 50, seed=3)
    forward = [clips(i) for i in range(50)]
    assert [clips(i) for i in reversed(range(50))] == forward[::-1]
    assert [SeededClips(INDEX, 50, seed=4)(i) for i in range(50)] != forward
    assert {clip.video for clip in forward} == {0, 2}
    assert all(0 <= clip.start < (9 if clip.video == 0 else 4) for clip in forward)


@pytest.mark.parametrize("name", ["smmnist-5-10", "kth-10-30", "bair-1-15", "bair-2-14", "bair-2-28"])
def test_published_protocols_say_their_lengths_in_their_names(name):
    protocol = find_protocol(f"mcvd-2022/{name}")
    assert [protocol.past, protocol.num_frames] == [int(word) for word in name.split("-")[1:]]
    assert (protocol.num_clips, protocol.num_samples) == (256, 10)


@pytest.mark.parametrize(
    ("name", "task", "past", "made", "future"),
    [
        ("smmnist-interpolate-5-10-5", "interpolate", 5, 10, 5),
        ("bair-interpolate-1-5-2", "interpolate", 1, 5, 2),
        ("ucf101-generate-20", "generate", 0, 20, 0),
    ],
)
def test_published_interpolation_and_generation_have_protocols(name, task, past, made, future):
    protocol = find_protocol(f"mcvd-2022/{name}")
    found = (protocol.task, protocol.past, protocol.num_frames, protocol.future)
    assert found == (task, past, made, future) and protocol.num_samples == 10


def test_an_unknown_protocol_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="mcvd-2022/cityscapes-2-28"):
        find_protocol("kth")
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


def test_published_protocols_have_the_published_definitions_of_frame_metrics():
    for name, protocol in PROTOCOLS.items():
        is_scored = name.startswith("mcvd-2022/") and protocol.task != "generate"
        assert protocol.frame_metrics == ("mcvd-2022" if is_scored else "mcvd")
        assert protocol.binary_ssim == (is_scored and "smmnist" in name)
        assert protocol.describe()["frame_metrics"] == protocol.frame_metrics


def test_as_many_frames_are_generated_as_prediction_gives_and_makes_together():
    names = [name.removeprefix("mcvd-2022/").split("-") for name in PROTOCOLS if name.startswith("mcvd-2022/")]
    predicted = {(words[0], int(words[1]) + int(words[2])) for words in names if len(words) == 3 and words[1].isdigit()}
    assert {(words[0], int(words[2])) for words in names if words[1] == "generate"} == predicted
