"""The studio without its page: what a visitor waits for and takes home."""

import math
import re
import threading

import pytest
import torch
from reference.studio import BLOCK, FAST, finished, work
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.apps.cli.output import Form
from mcvd.apps.studio.clip import Clip, Limits, no_clip
from mcvd.apps.studio.job import GenerationRequest, sample
from mcvd.apps.studio.result_view import ResultView
from mcvd.apps.studio.selection import Selection, first_marked, selection_of, with_keyframes
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.take_home import ALL
from mcvd.diffusion.tasks import BACKWARD, GENERATE, INTERPOLATE, PREDICT, TASKS
from mcvd.models.classifier import LabelClassifier
from mcvd.samplers import DDIM

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


def test_guidance_strengthens_what_the_model_is_told(clip):
    config = tiny_config(past=2, current=3, future=0, channels=3)
    config["net"]["init_args"]["num_signals"] = 1
    config["masking"]["p_signals"] = 0.5
    model = mcvd.build(config | {"signals": {"names": ["wheel"], "mean": [0.5], "std": [1]}}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert Studio(model, "told").can_hide_signals
    told = {"guidance": 3.0, "guidance_drops": "signals", "signals": {"wheel": 2.0}}
    asked = GenerationRequest(PREDICT, FAST, **told)
    made = finished(sample(model, clip, selection_of(PREDICT, model.block, range(4, 6), 3, 20), asked, Limits())).frames
    assert torch.equal(made[0], model.predict(clip.frames[4:6], 3, sampler=FAST, progress=False, **told)[0])


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
