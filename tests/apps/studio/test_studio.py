"""The studio without its page: what a visitor brings, marks, waits for and takes home."""

import math
import re
import threading

import numpy as np
import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.fields import FieldChoice
from mcvd.apps.cli.output import Form
from mcvd.apps.studio.clip import Clip, Limits, no_clip, read_clip, synthetic_clip
from mcvd.apps.studio.examples import cards, examples_for
from mcvd.apps.studio.film_strip import pictures
from mcvd.apps.studio.job import GenerationRequest, sample
from mcvd.apps.studio.result_view import ALL, ResultView
from mcvd.apps.studio.selection import Selection, first_marked, selection_of, with_keyframes
from mcvd.apps.studio.service import Studio
from mcvd.diffusion.tasks import BACKWARD, GENERATE, INTERPOLATE, PREDICT, TASKS
from mcvd.frames import FrameBlock
from mcvd.models.classifier import LabelClassifier
from mcvd.samplers import DDIM
from mcvd.video.arrays.reader import FieldReader

BLOCK = FrameBlock(2, 3, 2)
FAST = DDIM(num_steps=2)


@pytest.fixture(scope="module")
def model():
    net = tiny_model(past=2, current=3, future=2, channels=3)
    net.frame_rate_hz = 10.0
    return net


@pytest.fixture(scope="module")
def clip():
    return Clip("greys", pixels(20, 3, 16, 16), "")


def finished(pieces):
    *_, last = pieces
    return last


# Selection


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_is_marked_first_means_something_or_says_what_is_wrong(task, num_frames):
    try:
        selection = selection_of(task, BLOCK, first_marked(task, BLOCK, num_frames), 4, num_frames)
    except ValueError as error:
        assert task is INTERPOLATE and num_frames < 3, error
        return
    assert len(selection.generated) and len(selection.past) <= 2 and len(selection.future) <= 2
    assert {*selection.past, *selection.future} <= {*range(num_frames)}


def test_only_the_nearest_marked_frames_are_given():
    assert selection_of(PREDICT, BLOCK, range(3, 9), 4, 20) == Selection(range(7, 9), range(9, 13), range(0))
    assert selection_of(BACKWARD, BLOCK, range(3, 9), 2, 20) == Selection(range(0), range(1, 3), range(3, 5))
    assert selection_of(INTERPOLATE, BLOCK, range(3, 9), 99, 20) == Selection(range(1, 3), range(3, 9), range(9, 11))


def test_there_is_truth_only_where_the_video_is():
    assert selection_of(PREDICT, BLOCK, range(8, 10), 6, 12).target(12) == range(10, 12)
    assert selection_of(BACKWARD, BLOCK, range(2, 4), 6, 12).target(12) == range(0, 2)
    assert not selection_of(PREDICT, BLOCK, range(10, 12), 6, 12).target(12)
    assert not selection_of(GENERATE, BLOCK, range(0), 6, 12).target(12)


@pytest.mark.parametrize("stretch", [range(0), range(5, 3), range(18, 22), range(-1, 2)])
@pytest.mark.parametrize("task", [PREDICT, BACKWARD, INTERPOLATE], ids=lambda task: task.name)
def test_marks_outside_of_the_video_are_refused(task, stretch):
    with pytest.raises(ValueError, match="mark frames between 0 and 19"):
        selection_of(task, BLOCK, stretch, 4, 20)


def test_a_gap_without_a_side_is_refused():
    for stretch in (range(4), range(15, 20)):
        with pytest.raises(ValueError, match="both sides"):
            selection_of(INTERPOLATE, BLOCK, stretch, 4, 20)


# What a visitor brings


def test_an_upload_is_read_at_the_rate_and_the_size_of_the_model(model, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(30, 3, 24, 40), fps=20)
    clip = read_clip(tmp_path / "a.mp4", model, Limits())
    assert clip.frames.shape == (15, 3, 16, 16)
    assert torch.equal(clip.frames, mcvd.read_video(tmp_path / "a.mp4", size=16, frame_rate_hz=10))


def test_of_a_long_upload_the_beginning_is_taken_and_this_is_said(model, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(30, 3, 16, 16), fps=10)
    clip = read_clip(tmp_path / "a.mp4", model, Limits(frames=12))
    assert len(clip.frames) == 12
    assert "It has 30; only the first 12" in clip.note


def test_what_cannot_be_taken_is_refused_without_telling_where_it_lies(model, tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    with pytest.raises(mcvd.VideoError, match=r"^no\.mp4"):
        read_clip(tmp_path / "no.mp4", model, Limits())
    (tmp_path / "big.mp4").write_bytes(bytes(2_100_000))
    with pytest.raises(mcvd.VideoError, match=r"big\.mp4 has 2 MB, the studio takes up to 1 MB"):
        read_clip(tmp_path / "big.mp4", model, Limits(megabytes=1))


def test_huge_pictures_in_a_small_file_are_refused(model, tmp_path):
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    Image.new("L", (8000, 4000)).save(folder / "0.png")
    with pytest.raises(mcvd.VideoError, match="8000x4000 pixels: too large"):
        read_clip(folder, model, Limits())


def test_streets_are_at_hand_for_colour_and_grey(model):
    assert synthetic_clip(model, 0).frames.shape == (60, 3, 16, 16)
    assert synthetic_clip(tiny_model(channels=1), 3).frames.shape == (60, 1, 16, 16)
    assert len(no_clip(model).frames) == 0


def test_examples_ask_for_what_the_model_can_do(model):
    found = examples_for(model)
    assert [example.task for example in found] == ["predict", "predict", "backward", "interpolate", "generate"]
    assert [len(example.clip(model).frames) for example in found] == [60, 60, 60, 60, 0]
    shown = cards(model, found)
    assert len({card["picture"] for card in shown}) == 5
    blind = tiny_model(past=2, current=3, future=0, channels=1)
    assert {example.task for example in examples_for(blind)} <= {"predict", "generate"}
    assert len(cards(blind, examples_for(blind))) == len(examples_for(blind))


def test_the_film_strip_has_a_picture_for_each_frame():
    assert [uri[:22] for uri in pictures(pixels(3, 1, 16, 16))] == ["data:image/jpeg;base64"] * 3


# Sampling


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_studio_makes_what_the_model_makes(model, clip, task, num_samples):
    selection = selection_of(task, BLOCK, first_marked(task, BLOCK, 20), 7, 20)
    request = GenerationRequest(task, FAST, num_samples, seed=3)
    samples = finished(sample(model, clip, selection, request, Limits())).frames
    past, future = (clip.frames[list(side)] for side in (selection.past, selection.future))
    options = {"num_samples": num_samples, "sampler": FAST, "seed": 3}
    expected = {
        "predict": lambda: model.predict(past, 7, **options),
        "backward": lambda: model.predict(future, 7, backward=True, **options),
        "interpolate": lambda: model.interpolate(past, future, len(selection.generated), **options),
        "generate": lambda: model.generate(7, **options),
    }[task.name]()
    assert torch.equal(samples, expected.reshape(samples.shape))


@pytest.mark.parametrize("task", [PREDICT, BACKWARD, INTERPOLATE], ids=lambda task: task.name)
def test_keyframes_are_given_shown_and_not_scored(model, clip, task):
    selection = selection_of(task, BLOCK, first_marked(task, BLOCK, 20), 7, 20)
    place = 1
    number = selection.generated[place]
    selection = with_keyframes(selection, [number, *selection.context, 99], 20)
    assert selection.keyframes == (number,) and number in selection.given
    samples = finished(sample(model, clip, selection, GenerationRequest(task, FAST, 2), Limits())).frames
    assert (samples[:, place] == clip.frames[number]).all()
    view = ResultView(clip, selection, samples, Form(fps=10.0))
    scores = view.scores()["PSNR in dB"]["sample 1"]
    assert [math.isnan(score) for score in scores] == [k == place for k in range(len(samples[0]))]
    assert number - selection.shown.start in view.given
    assert not re.findall(r'points="[^"]*nan', view.page("").html())


def test_frames_appear_block_by_block(model, clip):
    selection = selection_of(PREDICT, BLOCK, range(2, 4), 8, 20)
    told = []
    pieces = list(sample(model, clip, selection, GenerationRequest(PREDICT, FAST), Limits(), told.append))
    assert [piece.num_done for piece in pieces] == [3, 6, 8]
    view = ResultView(clip, selection, pieces[0].frames, Form(), pieces[0].is_done)
    assert (view.videos()["sample 1"][2 + 3 :] == 128).all()
    assert told == sorted(told) and told[0] == 0 and told[-1] < 1 and len(told) == 3 * 2


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        (GenerationRequest(GENERATE, FAST, 9), 3),
        (GenerationRequest(GENERATE, DDIM(num_steps=2000)), 3),
        (GenerationRequest(GENERATE, FAST), 601),
    ],
)
def test_requests_beyond_the_limits_are_refused(model, asked, length):
    with pytest.raises(ValueError, match="the studio makes 1 to"):
        next(sample(model, no_clip(model), Selection(range(0), range(length), range(0)), asked, Limits()))


# The service


def work(studio, clip, visitor="me", task=PREDICT, length=8, num_samples=2, on_progress=lambda part: None):
    stretch = first_marked(task, BLOCK, len(clip.frames))
    studio.begin(visitor)
    return studio.generate(visitor, clip, stretch, length, GenerationRequest(task, FAST, num_samples), on_progress)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_job_ends_with_pictures_scores_and_files(model, clip, task):
    studio = Studio(model, "tiny")
    shown = finished(work(studio, clip, task=task))
    has_target = task is not GENERATE
    assert list(shown.files) == [ALL, *(["ground truth"] if has_target else []), "sample 1", "sample 2"]
    assert shown.result.count("<video") == 2 + 3 * has_target  # the truth, and maps of spread and error
    # PSNR and SSIM of two samples and a baseline, spread and error.
    assert shown.result.count("<polyline") == (8 if has_target else 0)
    assert "<script" not in shown.result
    one, both = (mcvd.read_video(shown.files[name]["mp4"]) for name in ("sample 1", ALL))
    assert both.shape[-1] == one.shape[-1] * (2 + has_target)
    assert len(mcvd.read_video(shown.files["sample 2"]["gif"])) == len(one)
    assert shown.files[ALL]["html"].read_text().startswith("<!doctype html>")


def test_scores_are_of_the_frames_that_the_video_has(model, clip):
    selection = selection_of(BACKWARD, BLOCK, range(3, 5), 6, 20)
    samples = finished(sample(model, clip, selection, GenerationRequest(BACKWARD, FAST), Limits())).frames
    view = ResultView(clip, selection, samples, Form(fps=10.0))
    expected = mcvd.metrics.frames.psnr_per_frame(samples[0, 3:], clip.frames[:3]).tolist()
    assert view.scores()["PSNR in dB"]["sample 1"] == expected
    assert view.videos()["ground truth"][3:6].equal(clip.frames[:3])
    assert (view.videos()["ground truth"][:3] == 128).all()


def test_a_long_video_is_shown_in_few_pictures():
    clip = Clip("long", pixels(300, 3, 16, 16), "")
    selection = selection_of(PREDICT, BLOCK, range(98, 100), 100, 300)
    assert ResultView(clip, selection, clip.frames[None, :100], Form(fps=10.0)).strip().count("<img") <= 2 * (14 + 2)


def test_cancelling_stops_in_the_middle_of_a_block_and_shows_what_there_is(model, clip):
    studio = Studio(model, "tiny")
    parts = []

    def on_progress(part):
        parts.append(part)
        if len(parts) == 3:  # the first call of the second block
            studio.cancel("me")

    *_, last = work(studio, clip, on_progress=on_progress)
    assert last.status == "Cancelled after 3 frames."
    assert last.files is None and "<img" in last.result
    assert len(parts) == 3


def test_who_cancels_in_the_queue_gets_nothing(model, clip):
    studio = Studio(model, "tiny")
    job = work(studio, clip, on_progress=lambda part: pytest.fail("the network was called"))
    studio.cancel("me")
    assert [shown.status for shown in job] == ["Cancelled before the first frames were generated."]


def test_one_visitor_cancels_nothing_of_another(model, clip):
    studio = Studio(model, "tiny")
    studio.begin("other")
    studio.cancel("other")
    assert finished(work(studio, clip, length=3, num_samples=1)).files


def test_files_last_until_the_next_job_or_until_the_visitor_leaves(model, clip):
    studio = Studio(model, "tiny")
    before = finished(work(studio, clip, "../me", length=3, num_samples=1)).files[ALL][
        "mp4"
    ]  # the browser chooses the name
    after = finished(work(studio, clip, "../me", length=3, num_samples=1)).files[ALL]["mp4"]
    assert not before.exists() and after.exists()
    studio.leave("../me")
    assert not after.exists()


def generated_frames(studio, clip, name, length):
    return mcvd.read_video(finished(work(studio, clip, name, length=length, num_samples=1)).files["sample 1"]["mp4"])


def test_two_visitors_at_once_get_what_each_would_get_alone(model, clip):
    studio, found = Studio(model, "tiny"), {}

    def visit(name, length):
        found[name] = generated_frames(studio, clip, name, length)

    threads = [threading.Thread(target=visit, args=(f"visitor {length}", length)) for length in (2, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for length in (2, 5):
        assert torch.equal(found[f"visitor {length}"], generated_frames(studio, clip, "nobody else", length))


def test_the_sentence_below_the_strip_tells_what_is_given_and_what_is_known(model, clip):
    kinds, sentence = Studio(model, "tiny").describe_selection(clip, PREDICT, 10, range(6, 15))
    assert kinds == "-" * 13 + "cc" + "g" * 5
    assert "10 frames to generate, the video has 5 of them" in sentence
    kinds, sentence = Studio(model, "tiny").describe_selection(clip, PREDICT, 10, range(6, 15), {17, 3})
    assert kinds == "-" * 13 + "cc" + "ggcgg" and sentence.endswith("Keyframes: 17.")
    kinds, sentence = Studio(model, "tiny").describe_selection(no_clip(model), PREDICT, 10, range(0))
    assert kinds == "" and "drop a video first" in sentence


def test_loops_and_signals_are_those_of_the_model(clip):
    config = tiny_config(past=2, current=3, future=0, channels=3)
    config["net"]["init_args"]["num_signals"] = 3
    config["masking"]["p_signals"] = 0.5
    names = {"names": ["wheel", "label=car", "label=boat"], "mean": [0.5, 0, 0], "std": [1, 1, 1]}
    model = mcvd.build(config | {"signals": names}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    studio = Studio(model, "told")
    assert studio.first_signals == {"wheel": 0.5, "label": "car"}
    selection = selection_of(PREDICT, model.block, range(4, 6), 6, 20)
    told = {"wheel": 2.0, "label": "boat"}
    asked = GenerationRequest(PREDICT, FAST, loop=True, signals=told)
    made = finished(sample(model, clip, selection, asked, Limits())).frames[0]
    options = {"sampler": FAST, "loop": True, "progress": False}
    assert torch.equal(made, model.predict(clip.frames[4:6], 6, signals=told, **options)[0])
    assert not torch.equal(made, model.predict(clip.frames[4:6], 6, **options)[0])


def test_a_classifier_guides_as_it_guides_the_model(model, clip):
    torch.manual_seed(0)
    classifier = LabelClassifier(["cat", "dog"], 3, (16, 16), 3, width=8, multipliers=(1, 2), head_channels=8).eval()
    studio = Studio(model, "guided", classifier=classifier)
    guide = studio.classifier.wish("dog")
    asked = GenerationRequest(PREDICT, FAST, guide=guide, guide_weight=30.0)
    made = finished(sample(model, clip, selection_of(PREDICT, BLOCK, range(4, 6), 3, 20), asked, Limits())).frames[0]
    options = {"sampler": FAST, "progress": False}
    assert torch.equal(made, model.predict(clip.frames[4:6], 3, guide=guide, guide_weight=30.0, **options)[0])
    assert not torch.equal(made, model.predict(clip.frames[4:6], 3, **options)[0])


def test_a_model_without_signals_has_no_sliders(model):
    assert Studio(model, "untold").first_signals == {}


# Values


def of_values(channels, unit, missing="nan"):
    torch.manual_seed(0)
    scale = {"low": 0.0, "high": 100.0, "unit": unit, "missing": missing}
    config = tiny_config(past=2, current=3, future=2, channels=channels)
    model = mcvd.build(config | {"codec": {"class_path": "mcvd.models.codecs.Scale", "init_args": scale}})
    model.frame_rate_hz = 1 / 300
    return model


@pytest.fixture(scope="module")
def bands():
    return of_values(4, "K")


def a_file(path, channels=4, seed=0):
    values = 100 * np.random.default_rng(seed).random((9, channels, 16, 16), np.float32)
    values[:, 0, :3] = np.nan
    np.savez(path, bands=values, mask=values[:, 0] > 3, time=300.0 * np.arange(9))
    return values


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_values_are_shown_in_colours_scored_and_taken_home_in_the_format_of_the_file(bands, task, tmp_path):
    values = a_file(tmp_path / "a.npz")
    clip = read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",)))
    assert np.array_equal(clip.frames.numpy(), values, equal_nan=True)
    clip = no_clip(bands) if task is GENERATE else clip
    update = finished(work(Studio(bands, "bands"), clip, task=task, length=4))
    assert "Colours: channel 0 K, from 0 (dark blue) to 100 (yellow); grey is missing." in update.result
    assert "PSNR" not in update.result and ("mean absolute error in K" in update.result) == (task is not GENERATE)
    with FieldReader(update.files[ALL]["values"], sequence=1) as reader:
        found = reader.read(range(reader.num_frames))
        assert reader.times.is_told == (task is not GENERATE) and reader.channels == 4
    with FieldReader(update.files["sample 2"]["values"]) as reader:
        assert torch.equal(reader.read(range(reader.num_frames)).nan_to_num(-1), found.nan_to_num(-1))
    assert update.files["sample 1"]["values"].suffix == (".npy" if task is GENERATE else ".npz")
    if task is PREDICT:
        given = range(first_marked(task, BLOCK, 9).stop)[-2:]
        assert np.array_equal(found[:2].numpy(), values[list(given)], equal_nan=True)
    assert mcvd.read_video(update.files["sample 1"]["mp4"]).shape[-2:] == (160, 160 + 96)


def test_channels_of_values_are_chosen(bands, tmp_path):
    a_file(tmp_path / "a.npz")
    clip = read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",)))
    studio = Studio(bands, "bands")
    assert studio.has_values and studio.channel_names == [f"channel {number}" for number in range(4)]
    request = GenerationRequest(PREDICT, FAST)
    update = finished(studio.generate("me", clip, range(2), 2, request, lambda part: None, shown=[2, 1, 3]))
    assert "channel 2 red (0 to 100), channel 1 green (0 to 100), channel 3 blue (0 to 100) K" in update.result
    assert studio.look([1, 2]).legend.title == "channel 0 K"  # two are not enough yet
    with pytest.raises(ValueError, match="each 0 to 3"):
        studio.look([7])


def test_a_file_of_values_that_cannot_be_taken_is_refused_by_its_name(bands, model, tmp_path):
    a_file(tmp_path / "a.npz")
    with pytest.raises(mcvd.VideoError, match=r"^a\.npz has no array 'snow'"):
        read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("snow",)))
    with pytest.raises(mcvd.VideoError, match=r"^a\.npz.*numbers of the axes"):
        read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",), "HW"))
    a_file(tmp_path / "a.npz", channels=3)
    with pytest.raises(ValueError, match=r"a\.npz holds values"):
        read_clip(tmp_path / "a.npz", model, Limits(), FieldChoice(("bands",), "TCHW"))
    with pytest.raises(ValueError, match="letters of NTCHW"):
        FieldChoice(axes="XY")


def test_rain_is_at_hand_for_models_of_rain_and_nothing_for_other_values(bands):
    rain = of_values(1, "mm/h")
    assert synthetic_clip(rain, 0).frames.shape == (60, 1, 16, 16)
    found = examples_for(rain)
    assert "And on this rain?" in [card["question"] for card in cards(rain, found)] and len(found) == 5
    assert [example.task for example in examples_for(bands)] == ["generate"] and len(cards(bands, examples_for(bands)))
