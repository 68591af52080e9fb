"""More frames a second and larger frames in the studio."""

import pytest
import torch
from reference.studio import FAST, finished, work
from reference.tiny import pixels, tiny_config, tiny_larger, tiny_model

import mcvd
from mcvd.apps.studio.clip import Clip, Limits, Reading, read_clip, synthetic_clip
from mcvd.apps.studio.examples import examples_for
from mcvd.apps.studio.job import GenerationRequest, upsample
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.take_home import ALL
from mcvd.apps.studio.tasks import ENLARGE, UPSAMPLE, possible_tasks, reading_for
from mcvd.models.cascade import Cascade
from mcvd.video.open import open_video


@pytest.fixture(scope="module")
def larger():
    return tiny_larger(size=(32, 32), channels=3)


@pytest.fixture(scope="module")
def cascade(larger):
    return Cascade(tiny_model(past=1, current=3, future=1, channels=3), larger)


def made(model, given, request):
    return finished(upsample(model, given, None, request, Limits())).frames


@pytest.mark.parametrize("num_samples", [1, 2])
def test_frames_between_are_those_of_the_model(model, clip, num_samples):
    frames = made(model, clip.frames[:10], GenerationRequest(UPSAMPLE, FAST, num_samples, seed=3, factor=3))
    options = {"sampler": FAST, "num_samples": num_samples, "seed": 3, "progress": False}
    assert torch.equal(frames, model.upsample(clip.frames[:10], 3, **options).reshape(frames.shape))
    assert torch.equal(frames[-1, ::3], clip.frames[:10])


@pytest.mark.parametrize("low_noise", [0.0, 0.2])
def test_larger_frames_are_those_of_the_model(larger, low_noise):
    given = pixels(5, 3, 16, 16)
    frames = made(larger, given, GenerationRequest(ENLARGE, FAST, 2, low_noise=low_noise))
    options = {"sampler": FAST, "num_samples": 2, "low_noise": low_noise, "progress": False}
    assert torch.equal(frames, larger.enlarge(given, **options).reshape(frames.shape))


def test_tasks_are_those_that_the_model_can_do(model, larger, cascade):
    assert [task.name for task in possible_tasks(model)][-1] == "upsample"
    assert [task.name for task in possible_tasks(larger)] == ["enlarge"]
    assert [task.name for task in possible_tasks(cascade)][-2:] == ["upsample", "enlarge"]
    assert "upsample" not in [task.name for task in possible_tasks(tiny_model(past=2, current=3, future=0))]
    assert model.takes_single_frames and cascade.takes_single_frames
    (example,) = examples_for(larger)
    assert example.clip(larger).frames.shape == (60, 3, 16, 16)


def test_a_video_is_read_with_every_frame_and_small_to_be_made_larger(model, cascade, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(30, 3, 32, 32), fps=20)
    clip = read_clip(tmp_path / "a.mp4", model, Limits(), reading=reading_for(UPSAMPLE, model))
    assert clip.frames.shape == (30, 3, 16, 16) and clip.rate_hz == 20
    clip = read_clip(tmp_path / "a.mp4", cascade, Limits(), reading=reading_for(ENLARGE, cascade))
    assert clip.frames.shape == (30, 3, 16, 16) and "16x16 pixels" in clip.note
    assert reading_for(UPSAMPLE, cascade) == Reading(True) and cascade.size == (32, 32)


def test_a_job_ends_with_more_frames_beside_a_cross_fade(model):
    clip = synthetic_clip(model, 2)
    studio = Studio(model, "tiny")
    *partial, last = work(studio, clip, task=UPSAMPLE, factor=2)
    assert [update.status for update in partial] == ["16 of 23 frames", "22 of 23 frames"]
    assert last.status == "Done: 23 frames." and last.result.count("<video") == 4
    given, cross_fade, *samples = (name for name in last.files if name != ALL)
    assert (given, cross_fade, *samples) == ("given", "cross-fade", "sample 1", "sample 2")
    with open_video(last.files["sample 1"]["mp4"]) as reader:
        assert reader.num_frames == 23 and reader.times.rate_hz == pytest.approx(20)
    assert mcvd.read_video(last.files[ALL]["gif"]).shape[-1] == 4 * 16
    assert last.files[ALL]["html"].read_text().startswith("<!doctype html>")


def test_a_job_ends_with_larger_frames_beside_bilinear_ones(larger):
    studio = Studio(larger, "tiny")
    last = finished(work(studio, synthetic_clip(larger, 5, reading=reading_for(ENLARGE, larger)), task=ENLARGE))
    assert list(last.files)[1:] == ["given", "bilinear", "sample 1", "sample 2"]
    assert mcvd.read_video(last.files["sample 1"]["mp4"]).shape == (12, 3, 32, 32)
    assert last.result.count("<video") == 5  # and the spread of two samples
    assert "16x16 pixels, shown as squares" in last.result and "from row" in last.result


def test_a_cascade_makes_more_frames_and_larger_ones(cascade):
    for task, num_frames in ((UPSAMPLE, 23), (ENLARGE, 12)):
        clip = synthetic_clip(cascade, 5, reading=reading_for(task, cascade))
        last = finished(work(Studio(cascade, "both"), clip, task=task, num_samples=1))
        assert mcvd.read_video(last.files["sample"]["gif"]).shape == (num_frames, 3, 32, 32)


def test_marks_mean_what_is_given_and_the_sentence_tells_what_comes_of_it(model, larger, clip):
    studio = Studio(model, "tiny")
    with_rate = Clip("a", clip.frames, "Note.", rate_hz=10.0)
    kinds, sentence = studio.describe_selection(with_rate, UPSAMPLE, 1, range(3, 8), factor=4)
    assert kinds == "---ccccc" + 12 * "-" and sentence.endswith("5 frames become 17, 10 Hz become 40 Hz.")
    assert studio.first_marked(clip, UPSAMPLE) == range(4, 16)
    _, sentence = Studio(larger, "tiny").describe_selection(clip, ENLARGE, 1, range(3, 8))
    assert sentence.endswith("5 frames of 16x16 pixels become 32x32.")
    request = GenerationRequest(UPSAMPLE, FAST)
    for stretch, message in ((range(3, 4), "at least 2 frames"), (range(15, 25), "between 0 and 19")):
        with pytest.raises(ValueError, match=message):
            next(studio.generate("me", clip, stretch, 1, request, lambda part: None))
    with pytest.raises(ValueError, match="601 frames were asked for"):
        made(model, pixels(101, 3, 16, 16), GenerationRequest(UPSAMPLE, FAST, factor=6))


def test_values_are_upsampled_and_taken_home_as_values():
    scale = {"low": 0.0, "high": 100.0, "unit": "mm/h", "missing": "nan"}
    codec = {"class_path": "mcvd.models.codecs.Scale", "init_args": scale}
    rain = mcvd.build(tiny_config(past=1, current=3, future=1, channels=1) | {"codec": codec}).eval()
    last = finished(work(Studio(rain, "rain"), synthetic_clip(rain, 0), task=UPSAMPLE, num_samples=1, factor=4))
    assert "Colours: mm/h" in last.result and last.files["sample"]["values"].suffix == ".npy"
