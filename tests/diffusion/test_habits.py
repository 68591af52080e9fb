"""What people type by habit, in Python: it works, or one line says what is meant."""

import numpy as np
import pytest
import torch
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.diffusion.options import SamplingOptions
from mcvd.samplers import DDIM, AdaptiveSDE, UniPC
from mcvd.samplers.select import default_sampler

PAST = pixels(1, 2, 3, 16, 16)


@pytest.fixture(scope="module")
def model():
    return tiny_model(past=2, current=3, future=2, channels=3)


def test_steps_are_those_of_the_sampler(model):
    for sampler in (None, DDIM()):
        few = default_sampler(num_steps=2) if sampler is None else DDIM(num_steps=2)
        assert torch.equal(model.predict(PAST, 3, sampler=sampler, steps=2), model.predict(PAST, 3, sampler=few))
    assert torch.equal(model.generate(3, steps=2), model.generate(3, sampler=UniPC(num_steps=2)))


@pytest.mark.parametrize("kind", ["a batch", "one video", "backward in memory"])
def test_arrays_are_frames(kind, model):
    array = {"a batch": PAST, "one video": PAST[0], "backward in memory": PAST}[kind].numpy()
    array = np.flip(array, 1) if kind == "backward in memory" else array
    tensor = torch.tensor(np.ascontiguousarray(array))
    assert torch.equal(model.predict(array, 3, steps=1), model.predict(tensor, 3, steps=1))
    read_only = PAST.numpy().copy()
    read_only.flags.writeable = False
    assert torch.equal(model.interpolate(read_only, PAST, 3, steps=1), model.interpolate(PAST, PAST, 3, steps=1))


def test_arrays_are_written(tmp_path):
    mcvd.write_video(tmp_path / "a", PAST[0].numpy())
    assert torch.equal(mcvd.read_video(tmp_path / "a"), PAST[0])


def test_results_are_what_is_asked_for(model):
    tensor = model.predict(PAST, 3, steps=1)
    array = model.predict(PAST, 3, steps=1, output_type="np")
    assert isinstance(array, np.ndarray) and np.array_equal(array, tensor.numpy())
    ((first, *others),) = model.predict(PAST, 3, steps=1, output_type="pil")
    assert np.array_equal(np.asarray(first), tensor[0, 0].permute(1, 2, 0)) and len(others) == 2
    between = model.interpolate(PAST, PAST, 3, steps=1, num_samples=2, output_type="pil")
    assert [len(sample) for video in between for sample in video] == [3, 3]
    assert model.generate(3, steps=1, output_type="np").shape == (1, 3, 3, 16, 16)
    assert model.upsample(PAST[0], 2, steps=1, output_type="np").shape == (1, 3, 3, 16, 16)
    with pytest.raises(ValueError, match="'pil' is for uint8 frames"):
        model.predict(PAST, 3, steps=1, rounded=False, output_type="pil")


def test_a_generator_gives_the_next_video_at_each_call(model):
    def two(seed):
        generator = torch.Generator().manual_seed(seed)
        return [model.predict(PAST, 3, steps=1, generator=generator) for _ in range(2)]

    (one, next_one), again, other = two(0), two(0), two(1)
    assert torch.equal(one, again[0]) and torch.equal(next_one, again[1])
    assert not torch.equal(one, next_one) and not torch.equal(one, other[0])
    each = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    both = model.predict(torch.cat([PAST, PAST]), 3, steps=1, generator=each)
    assert torch.equal(both, torch.cat([one, other[0]]))


MISTAKES = {
    "num_inference_steps": ({"num_inference_steps": 4}, TypeError, "no option num_inference_steps; did you mean steps"),
    "guidance_scale": ({"guidance_scale": 4}, TypeError, "did you mean guidance"),
    "generator": ({"generator": 3}, ValueError, "generator must be a torch.Generator, or one for each video, got 3"),
    "two seeds": ({"generator": torch.Generator(), "seed": 1}, TypeError, "seed and generator both"),
    "output_type": ({"output_type": "latent"}, ValueError, "output_type must be 'pt', 'np' or 'pil', got 'latent'"),
    "num_sample": ({"num_sample": 2}, TypeError, "did you mean num_samples"),
    "zebra": ({"zebra": 2}, TypeError, "no option zebra"),
    "a name": ({"sampler": "ddim"}, ValueError, r"mcvd\.samplers\.DDIM\(\), got 'ddim'"),
    "an unknown name": ({"sampler": "DDMP"}, ValueError, "did you mean DDPM"),
    "a class": ({"sampler": DDIM}, ValueError, r"mcvd\.samplers\.DDIM\(\)"),
    "no steps": ({"steps": 0}, ValueError, "steps must be a whole number of at least 1, got 0"),
    "half a step": ({"steps": 1.5}, ValueError, "steps must be a whole number"),
    "steps of its own": ({"sampler": AdaptiveSDE(), "steps": 3}, ValueError, "AdaptiveSDE chooses its steps itself"),
    "a word": ({"guidance": "strong"}, ValueError, "guidance must be a"),
    "a wrong precision": ({"precision": "fp32"}, ValueError, "float32"),
}
FRAMES = {
    "channels last": (PAST.permute(0, 1, 3, 4, 2), r"permute\(0, 1, 4, 2, 3\)"),
    "channels last, one video": (PAST[0].permute(0, 2, 3, 1).numpy(), r"permute\(0, 3, 1, 2\)"),
    "floats": (PAST / 255, "255"),
    "another size": (pixels(1, 2, 3, 8, 8), "read_video"),
    "one frame": (PAST[0, 0], r"frame\[None\]"),
    "nothing": (torch.empty(0), "read_video"),
    "a list": ([PAST], "tensor or a numpy array, got list"),
    "text": (np.array(["a"]), "frames of numbers"),
    "a path": ("clip.mp4", "tensor or a numpy array, got str"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_option_of_another_program_is_told_what_it_is_called_here(mistake, model):
    options, kind, said = MISTAKES[mistake]
    with pytest.raises(kind, match=said) as told:
        model.predict(PAST, 3, **options)
    assert "\n" not in str(told.value)


CALLS = {
    "no frames": (lambda model: model.predict(PAST, 0), "num_frames must be at least 1, got 0"),
    "fewer than none": (lambda model: model.predict(PAST, -2), "num_frames must be at least 1, got -2"),
    "half a frame": (lambda model: model.predict(PAST, 2.5), "num_frames must be a whole number, .*got 2.5"),
    "a number as text": (lambda model: model.predict(PAST, "3"), "num_frames must be a whole number, .*got '3'"),
    "swapped": (lambda model: model.predict(3, PAST), "tensor or a numpy array, got int"),
    "frames for nothing": (lambda model: model.generate(PAST), "num_frames must be a whole number, .*got a Tensor"),
    "a batch of none": (lambda model: model.predict(PAST[:0], 3), "a batch of none"),
    "sides that differ": (lambda model: model.interpolate(PAST, torch.cat([PAST, PAST]), 3), "got 1 and 2"),
    "no guide": (lambda model: model.predict(PAST, 3, guide=3), "guide must be .*got 3"),
    "a guide of whole numbers": (
        lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: frames.detach().abs().mean((1, 2, 3, 4))),
        "energy has no gradient with respect to the frames",
    ),
    "a guide that looks elsewhere": (
        lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: torch.ones(1, requires_grad=True)),
        "energy has no gradient with respect to the frames",
    ),
    "a guide of NaN": (
        lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: (frames * torch.nan).mean((1, 2, 3, 4))),
        "a guide returned an energy that is NaN",
    ),
    "a guide upside down": (
        lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: -5 - frames.abs().mean((1, 2, 3, 4))),
        "energy is 0 where frames are as wished, and above 0 elsewhere, got -",
    ),
    "a guide of steep gradients": (
        lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: (0 * frames).sqrt().sum((1, 2, 3, 4))),
        "or the guide: are its gradients finite",
    ),
    "a guide where gradients are off": (
        torch.inference_mode()(
            lambda model: model.predict(PAST, 3, steps=1, guide=lambda frames, t: frames.abs().mean((1, 2, 3, 4)))
        ),
        r"torch.inference_mode\(\): call the model outside of it",
    ),
    "a keyframe where gradients are off": (
        torch.inference_mode()(lambda model: model.predict(PAST, 3, steps=3, known={1: PAST[0, 0]})),
        r"torch.inference_mode\(\): call the model outside of it",
    ),
    "a keyframe too late": (lambda model: model.predict(PAST, 3, known={9: PAST[0, 0]}), r"known\[9\].*0 to 2"),
    "signals": (lambda model: model.predict(PAST, 3, signals={"steering": 0.1}), "takes no signals"),
    "seeds": (lambda model: model.predict(PAST, 3, seed=[1, 2]), "one for each of the 1 videos, got 2"),
    "one frame to upsample": (lambda model: model.upsample(PAST[:, :1], 2), "at least 2 are needed"),
    "a size in words": (lambda model: mcvd.read_video("a.mp4", size="64"), "size must be .*got '64'"),
    "colours": (lambda model: mcvd.read_video("a.mp4", channels=2), "3 .RGB. or 1 .grey., got 2"),
    "floats to write": (lambda model: mcvd.write_video("b.mp4", PAST[0] / 255), "uint8, 0 to 255, got torch.float32"),
    "a batch to write": (lambda model: mcvd.write_video("b.mp4", PAST), "videos of a batch one by one"),
    "another film": (lambda model: mcvd.write_video("b.webm", PAST[0]), "ends in .mp4, .gif or .png"),
    "one size": (lambda model: mcvd.MCVD(mcvd.FrameBlock(2, 3, 2), size=64), "size must be .height, width., got 64"),
    "no block": (lambda model: mcvd.MCVD((2, 3, 2)), r"block must be an mcvd.FrameBlock.*got \(2, 3, 2\)"),
    "an empty block": (lambda model: mcvd.FrameBlock(2, 0, 1), "current >= 1"),
    "no model": (lambda model: mcvd.load("nowhere"), "no model at nowhere"),
}


@pytest.mark.parametrize("mistake", CALLS)
def test_a_call_that_cannot_be_is_told_in_one_line(mistake, model):
    call, said = CALLS[mistake]
    with pytest.raises((ValueError, FileNotFoundError), match=said) as told:
        call(model)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("mistake", FRAMES)
def test_frames_that_do_not_fit_are_told_what_makes_them_fit(mistake, model):
    frames, said = FRAMES[mistake]
    with pytest.raises(ValueError, match=said) as told:
        model.predict(frames, 3)
    assert "\n" not in str(told.value)


def test_every_option_has_its_place_in_the_documentation():
    described = SamplingOptions.__doc__
    assert all(f" {name}" in described for name in SamplingOptions.__dataclass_fields__)
