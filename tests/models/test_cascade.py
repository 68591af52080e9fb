"""A cascade is a model: the four verbs, what each of its models is given, how it is kept."""

import json

import pytest
import torch
from reference.tiny import pixels, tiny_larger, tiny_model

import mcvd
from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.super_resolution import enlarged, reduced
from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.models.cascade import Cascade
from mcvd.models.mcvd import MCVD

FAST = {"steps": 2, "progress": False}
LARGE = (32, 32)


@pytest.fixture(scope="module")
def base():
    return tiny_model(past=1, current=3, future=1)


@pytest.fixture(scope="module")
def cascade(base):
    return Cascade(base, tiny_larger(size=LARGE))


def bilinear(video):
    return pixels_from_model(enlarged(model_from_pixels(video), LARGE))


def close(a, b):
    return a.shape == b.shape and (a.int() - b.int()).abs().max() <= 1


def test_with_a_stage_that_adds_nothing_it_is_its_base_enlarged(base):
    cascade, clip = Cascade(base, tiny_larger(size=LARGE, silent=True)), pixels(2, 2, 1, *LARGE)
    small = reduced(clip, (16, 16))
    past, future = clip[:, :1], clip[:, 1:]
    assert close(cascade.predict(past, 4, **FAST), bilinear(base.predict(small[:, :1], 4, **FAST)))
    made = cascade.predict(future, 4, backward=True, **FAST)
    assert close(made, bilinear(base.predict(small[:, 1:], 4, backward=True, **FAST)))
    made = cascade.interpolate(past, future, 4, num_samples=2, seed=3, **FAST)
    assert close(made, bilinear(base.interpolate(small[:, :1], small[:, 1:], 4, num_samples=2, seed=3, **FAST)))
    assert close(cascade.generate(4, num_samples=2, **FAST), bilinear(base.generate(4, num_samples=2, **FAST)))


def test_a_stage_sees_the_detail_of_given_frames(cascade):
    past = pixels(1, 1, 1, *LARGE)
    other = past.clone()
    other[..., ::2, :], other[..., 1::2, :] = past[..., 1::2, :], past[..., ::2, :]  # about the same, made smaller
    even = torch.full_like(past, 128)
    pattern = even.clone()
    pattern[..., ::2, :], pattern[..., 1::2, :] = 118, 138
    assert torch.equal(reduced(pattern, (16, 16))[..., 1:-1, :], reduced(even, (16, 16))[..., 1:-1, :])
    assert not torch.equal(cascade.predict(pattern, 2, **FAST), cascade.predict(even, 2, **FAST))


def test_same_seed_same_video_whatever_is_beside_it(cascade):
    past = pixels(2, 1, 1, *LARGE)
    both = cascade.predict(past, 4, seed=2, num_samples=2, **FAST)
    assert close(cascade.predict(past[1:], 4, seed=2, num_samples=2, first_video=1, batch_size=1, **FAST), both[1:])
    second = cascade.predict(past, 4, seed=2, first_sample=1, **FAST)
    assert close(second, both[:, 1])
    assert not close(both[:, 0], both[:, 1])


def test_it_fills_gaps_and_makes_whole_videos_larger(cascade):
    video = pixels(3, 1, *LARGE)
    made = cascade.upsample(video, 2, **FAST)
    assert made.shape == (1, 5, 1, *LARGE) and torch.equal(made[0, ::2], video)
    assert cascade.enlarge(pixels(2, 3, 1, 16, 16), num_samples=2, **FAST).shape == (2, 2, 3, 1, *LARGE)


def test_two_stages_follow_each_other(base):
    stages = [tiny_larger(size=LARGE, silent=True), tiny_larger(size=(64, 64), silent=True)]
    made = Cascade(base, *stages).generate(3, **FAST)
    small = bilinear(base.generate(3, **FAST))
    assert close(made, pixels_from_model(enlarged(model_from_pixels(small), (64, 64))))


def test_keyframes_come_out_as_they_are(cascade):
    frame = pixels(1, *LARGE, seed=5)
    made = cascade.predict(pixels(1, 1, 1, *LARGE), 5, known={3: frame}, known_by="replacement", **FAST)
    assert torch.equal(made[0, 3], frame) and not torch.equal(made[0, 2], frame)


def test_interrupted_work_resumes_from_its_blocks(cascade, tmp_path):
    past, store = pixels(1, 1, 1, *LARGE), BlockStore(tmp_path, cascade.block)
    stream = cascade.stream(past, 5, block_store=store, **FAST)
    next(stream)
    stream.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"block-{name}-0.npy" for name in ("base-000000", "base-000001", "stage-1-000000")]
    resumed = torch.cat([frames for _, frames in cascade.stream(past, 5, block_store=store, **FAST)], 1)
    assert torch.equal(resumed, cascade.predict(past, 5, **FAST))


def test_progress_is_that_of_all_its_models(cascade):
    told = []
    cascade.predict(pixels(1, 1, 1, *LARGE), 5, on_progress=told.append, **FAST)
    assert told == sorted(told) and told[0] == 0 and 0.5 < told[-1] < 1


def test_it_is_kept_in_a_folder_and_opened_by_its_name(cascade, tmp_path):
    folder = tmp_path / "both"
    cascade.save_pretrained(folder, data="tiny")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "base", "config.json", "stage-1"]
    again = mcvd.load(folder)
    past = pixels(1, 1, 1, *LARGE)
    assert isinstance(again, Cascade)
    assert torch.equal(again.predict(past, 4, **FAST), cascade.predict(past, 4, **FAST))
    assert "in a cascade, 16x16 to 32x32" in again.facts().net and again.facts().size == LARGE
    assert mcvd.load(folder / "base").size == (16, 16)
    with pytest.raises(FileExistsError, match="not empty"):
        cascade.save_pretrained(folder)
    with pytest.raises(ValueError, match="is a cascade of models"):
        MCVD.from_pretrained(folder)


def test_at_another_size_each_model_has_the_one_that_the_next_needs(cascade, tmp_path):
    cascade.save_pretrained(tmp_path / "both")
    wide = mcvd.load(tmp_path / "both", size=(24, 40))
    assert (wide.size, wide.base.size) == ((24, 40), (12, 20))
    assert wide.predict(pixels(1, 1, 1, 24, 40), 3, **FAST).shape == (1, 3, 1, 24, 40)
    wide.save_pretrained(tmp_path / "wide")
    assert mcvd.load(tmp_path / "wide").base.size == (12, 20)
    with pytest.raises(ValueError, match="base: frames of 11x20 do not fit"):
        mcvd.load(tmp_path / "both", size=(22, 40))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"base": "../base", "stages": ["stage-1"]}, "folders inside its own"),
        ({"base": "base", "stages": ["/tmp"]}, "folders inside its own"),
        ({"base": "base", "stages": ["none"]}, "folders inside its own"),
        ({"base": "base", "stages": []}, "one stage or more"),
        ({"base": "base"}, "one stage or more"),
        ({"base": "base", "stages": ["stage-1"], "low_noise": [0.9]}, "levels from 0 to 0.5"),
        ({"base": "base", "stages": ["stage-1"], "low_noise": "no"}, "list of numbers"),
        ({"base": "base", "stages": ["stage-1"] * 9}, "at most 8 stages"),
        ({"base": "base", "stages": [3]}, "names no base and stages"),
        ("base", "names no base and stages"),
    ],
)
def test_a_folder_that_names_something_else_is_refused(cascade, tmp_path_factory, described, message):
    folder = tmp_path_factory.getbasetemp() / "kept-cascade"
    if not folder.exists():
        cascade.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"cascade": described}))
    with pytest.raises(ValueError, match=message):
        mcvd.load(folder)


def test_models_that_do_not_fit_are_refused(base, cascade):
    stage = cascade.stages[0]
    for models, message in [
        ([base], "one stage or more"),
        ([base, base], "makes no frames larger"),
        ([stage, stage], "it is a stage"),
        ([base, tiny_larger(size=(64, 64))], "makes frames of 32x32x1 larger"),
        ([tiny_model(channels=3), stage], "16x16x3"),
    ]:
        with pytest.raises(ValueError, match=message):
            Cascade(*models)
    with pytest.raises(ValueError, match="a number for each"):
        Cascade(base, stage, low_noise=[0.1, 0.2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide": lambda clean, t: clean.sum()}, "does not take guide"),
        ({"low_noise": 0.1}, "does not take low_noise"),
        ({"known": {0: pixels(1, *LARGE)}, "known_pixels": torch.ones(LARGE, dtype=torch.bool)}, "known_pixels"),
    ],
)
def test_options_that_have_no_meaning_are_refused(cascade, options, message):
    with pytest.raises(ValueError, match=message):
        cascade.predict(pixels(1, 1, 1, *LARGE), 2, **FAST, **options)


def test_a_stage_that_cannot_begin_is_named(base):
    stage = tiny_larger(size=LARGE)
    stage.masking = mcvd.Masking()
    assert Cascade(base, stage).facts().tasks["generate"].startswith("stage 1: ")
    assert Cascade(base, stage).facts().tasks["predict"] is None
