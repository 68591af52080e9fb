"""Signals: what is told beside the frames reaches the right block, can be hidden, guided over, and is checked."""

from dataclasses import replace

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.diffusion.signals import Signals
from mcvd.runtime.numbers import NumbersError

PAST = pixels(2, 2, 1, 16, 16)
OPTIONS = {"steps": 2, "progress": False}
WHEEL = Signals(("wheel", "label=car", "label=boat"), (0.5, 0, 0), (2.0, 1, 1), (-1, 0, 0), (3, 1, 1))


def told_config(signals=WHEEL, p_signals=0.25, **options):
    config = tiny_config(**options)
    config["net"]["init_args"]["num_signals"] = signals.size
    config["masking"]["p_signals"] = p_signals
    config["signals"] = {"names": list(signals.names), "mean": signals.mean, "std": signals.std}
    return config | {"signals": config["signals"] | {"low": signals.low, "high": signals.high}}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = mcvd.build(told_config())
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def test_a_block_follows_its_own_signals_and_no_later_ones(model):
    steady = torch.zeros(7, 3)
    turned = steady.clone()
    turned[3:] = 2.0  # the second block begins with frame 3
    straight, turning = (model.predict(PAST, 7, signals=each, **OPTIONS) for each in (steady, turned))
    later = model.predict(PAST, 5, signals=turned[:5], **OPTIONS)
    assert torch.equal(straight[:, :3], turning[:, :3]) is False  # future slots of the first block see what comes
    assert not torch.equal(straight[:, 3:], turning[:, 3:])
    assert torch.equal(later[:, :3], turning[:, :3])


def test_without_future_slots_the_first_block_does_not_know_what_comes():
    torch.manual_seed(0)
    model = mcvd.build(told_config(future=0))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    steady = torch.zeros(6, 3)
    turned = steady.clone()
    turned[3:] = 2.0
    straight, turning = (model.eval().predict(PAST, 6, signals=each, **OPTIONS) for each in (steady, turned))
    assert torch.equal(straight[:, :3], turning[:, :3])
    assert not torch.equal(straight[:, 3:], turning[:, 3:])


def test_ways_to_say_the_same_thing(model):
    rows = torch.tensor([1.0, 1, 0]).expand(2, 7, 3)
    first = model.predict(PAST, 5, signals=rows, **OPTIONS)
    ways = [rows[0], rows[0].numpy(), rows[0, :5], rows[0, 0], {"wheel": 1.0, "label": "car"}]
    ways += [{"wheel": [1.0] * 5, "label": "car"}, {"wheel": torch.ones(2, 7), "label=car": 1, "label=boat": 0}]
    for way in ways:
        assert torch.equal(model.predict(PAST, 5, signals=way, **OPTIONS), first)
    assert torch.equal(model.step(PAST, {"wheel": 1, "label": "car"}, 5, **OPTIONS), first)


def test_rows_of_generated_frames_hold_for_the_given_ones_beside():
    track = Signals(("a",)).of(torch.arange(4.0)[:, None], 1, 2, 4)
    assert track.at(range(-1, 8)).flatten().tolist() == [0, 0, 0, 0, 1, 2, 3, 3, 3]
    whole = Signals(("a",)).of(torch.arange(6.0)[:, None], 1, 2, 4)
    assert whole.at(range(0, 7)).flatten().tolist() == [0, 1, 2, 3, 4, 5, 5]


def test_samples_and_parts_of_a_batch_follow_the_signals_of_their_video(model):
    signals = torch.tensor([[[0.0, 1, 0]], [[2.0, 0, 1]]]).expand(-1, 5, -1)
    together = model.predict(PAST, 5, signals=signals, num_samples=2, seed=[3, 4], **OPTIONS)
    parts = model.predict(PAST, 5, signals=signals, num_samples=2, seed=[3, 4], batch_size=1, **OPTIONS)
    alone = model.predict(PAST[1:], 5, signals=signals[1:], num_samples=2, seed=[4], **OPTIONS)
    assert torch.equal(together, parts)
    assert torch.equal(together[1:], alone)


def test_absent_signals_are_told_absent_and_their_values_have_no_influence(model):
    absent = model.predict(PAST, 3, **OPTIONS)
    assert not torch.equal(absent, model.predict(PAST, 3, signals=torch.tensor([0.5, 0, 0]), **OPTIONS))
    frames = torch.rand(2, 2, 1, 16, 16)
    hidden = torch.zeros(2, dtype=torch.bool)
    conditions = [
        replace(mcvd.Condition.visible(frames, frames), signals=torch.full((2, 7, 3), x), keep_signals=hidden)
        for x in (1.0, float("nan"))
    ]
    noisy, t = torch.randn(2, 3, 1, 16, 16), torch.full((2,), 0.5)
    one, other = (model.denoiser.bind(condition)(noisy, t) for condition in conditions)
    assert torch.equal(one, other)


def test_guidance_over_signals_is_the_difference_to_absent_ones(model):
    frames, signals = torch.rand(2, 2, 1, 16, 16), torch.randn(2, 7, 3)
    condition = replace(mcvd.Condition.visible(frames, frames), signals=signals)
    noisy, t = torch.randn(2, 3, 1, 16, 16), torch.full((2,), 0.5)
    bind = model.denoiser.bind
    told, absent = bind(condition)(noisy, t), bind(condition.null(False, False, signals=True))(noisy, t)
    guided = bind(condition, 3.0, "signals")(noisy, t)
    torch.testing.assert_close(guided, absent + 3 * (told - absent), rtol=1e-4, atol=1e-4)
    sampled = model.predict(PAST, 3, signals=[1.0, 1, 0], guidance=2.0, guidance_drops="signals", **OPTIONS)
    assert sampled.shape == (2, 3, 1, 16, 16)


def test_guidance_over_signals_with_residuals():
    torch.manual_seed(0)
    model = mcvd.build(told_config() | {"reference": "context", "predicts": "x0"}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    frames = torch.rand(2, 2, 1, 16, 16)
    condition = replace(mcvd.Condition.visible(frames, frames), signals=torch.randn(2, 7, 3))
    noisy, t = torch.randn(2, 3, 1, 16, 16), torch.full((2,), 0.5)
    bind = model.denoiser.bind
    told, absent = bind(condition)(noisy, t), bind(condition.null(False, False, signals=True))(noisy, t)
    torch.testing.assert_close(
        bind(condition, 2.0, "signals")(noisy, t), absent + 2 * (told - absent), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "signals, says",
    [
        (torch.zeros(4, 3), r"\(T, 3\).*5 generated frames, or all 7.*got \(1, 4, 3\).*wheel, label=car"),
        (torch.zeros(5, 2), r"got \(1, 5, 2\)"),
        ([[0.0, 1, 0], [1.0]], r"signals must be numbers, equally many for each frame, got \[\[0.0"),
        ("left", "signals must be numbers, .*got 'left'"),
        ({"wheel": 0.0}, "label is missing"),
        ({"wheel": 0.0, "label": "cars"}, "label is one of car, boat.*did you mean car"),
        ({"wheal": 0.0, "label": "car"}, "no wheal; did you mean wheel"),
        ({"wheel": [0.0] * 4, "label": "car"}, r"got \(1, 4, 3\)"),
        ({"wheel": "left", "label": "car"}, "wheel must be numbers, got 'left'"),
        ({"wheel": [0, 0, float("nan"), 0, 0], "label": "car"}, "row 2, wheel is nan"),
        ({"wheel": [0, 9e9, 0, 0, 0], "label": "car"}, "row 1, wheel is 9e.09; in training it was -1 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(model, signals, says):
    with pytest.raises(ValueError, match=says):
        model.predict(PAST, 5, signals=signals, **OPTIONS)


def test_models_that_need_or_do_not_take_signals_say_so(model):
    with pytest.raises(ValueError, match="takes no signals"):
        tiny_model().predict(PAST, 3, signals=[1.0], **OPTIONS)
    with pytest.raises(ValueError, match=r"needs signals \(wheel, label=car, label=boat\)"):
        mcvd.build(told_config(p_signals=0.0)).predict(PAST, 3, **OPTIONS)
    with pytest.raises(ValueError, match="not trained with signals hidden at times"):
        tiny_model().predict(PAST, 3, guidance=2.0, guidance_drops="signals", **OPTIONS)
    with pytest.raises(ValueError, match=r"names 3 numbers.*takes 0: set model.net.init_args.num_signals to 3"):
        mcvd.build(tiny_config() | {"signals": {"names": list(WHEEL.names)}})
    with pytest.raises(ValueError, match=r"p_signals hides signals"):
        mcvd.build(tiny_config() | {"masking": {"p_signals": 0.5}})
    for wrong in ({"names": []}, {"names": ["a", "a"]}, {"names": ["a"], "std": [0.0], "mean": [0.0]}):
        with pytest.raises(ValueError):
            Signals(**wrong)


def test_a_model_without_signals_pays_nothing():
    plain, told = tiny_model(), mcvd.build(told_config())
    assert plain.denoiser.net.signal_embedding is None
    assert not [name for name in plain.state_dict() if "signal" in name]
    assert plain.state_dict().keys() < told.state_dict().keys()
    config = tiny_config()  # as a model of before says it
    before = mcvd.build(config)
    before.load_state_dict(plain.state_dict())
    assert torch.equal(before.eval().predict(PAST, 4, **OPTIONS), plain.predict(PAST, 4, **OPTIONS))
    loss = {
        name: m.loss({"video": pixels(2, 7, 1, 16, 16), "index": [0, 1]}) for name, m in (("a", plain), ("b", before))
    }
    assert torch.equal(loss["a"], loss["b"])


class TestTraining:
    def batch(self, **more):
        return {"video": pixels(40, 7, 1, 16, 16), "index": [*range(40)], **more}

    def test_signals_are_hidden_as_often_as_masking_says_and_other_draws_stay(self):
        plain, told = mcvd.MCVD.from_config(tiny_config()), mcvd.MCVD.from_config(told_config())
        _, before, time, noise, *_ = plain.draw(self.batch())
        _, condition, told_time, told_noise, *_ = told.draw(self.batch(signals=torch.ones(40, 7, 3)))
        assert torch.equal(time, told_time) and torch.equal(noise, told_noise)
        assert torch.equal(before.keep_past, condition.keep_past)
        assert 20 < condition.keep_signals.sum() < 38  # three quarters of 40
        assert condition.signals[condition.keep_signals][0, 0].tolist() == [0.25, 1, 1]
        assert not condition.signals[~condition.keep_signals].any()

    def test_every_number_is_learned_from(self):
        model = mcvd.MCVD.from_config(told_config(p_signals=0.0))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        model.loss(self.batch(signals=torch.rand(40, 7, 3))).sum().backward()
        assert model.denoiser.net.signal_embedding.layer0.weight.grad.abs().sum(0).gt(0).all()

    def test_a_batch_without_them_is_refused(self):
        model = mcvd.MCVD.from_config(told_config())
        with pytest.raises(ValueError, match=r"float \(40, 7, 3\) in each batch, got none"):
            model.loss(self.batch())

    def test_what_they_are_measured_by_is_kept(self, tmp_path, model):
        model.save_pretrained(tmp_path / "model")
        opened = mcvd.load(tmp_path / "model")
        assert opened.signals == WHEEL
        assert opened.facts().signals == WHEEL.names
        told = {"signals": [1.0, 1, 0], **OPTIONS}
        assert torch.equal(opened.predict(PAST, 4, **told), model.predict(PAST, 4, **told))


def test_vectors_stand_for_many_numbers():
    signals = Signals(("text[3]", "wheel"))
    assert signals.columns == ["text.0", "text.1", "text.2", "wheel"]
    track = signals.of({"text": [1.0, 2, 3], "wheel": torch.arange(4.0)}, 1, 0, 4)
    assert track.values[0, 2].tolist() == [1, 2, 3, 2]
    with pytest.raises(NumbersError, match=r"row 0, text.1 is inf"):
        signals.of({"text": [1.0, float("inf"), 3], "wheel": 0.0}, 1, 0, 4)


def space_time(**options):
    torch.manual_seed(0)
    config = told_config(net="SpaceTimeUNet", future=0) | options
    model = mcvd.build(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_a_network_of_frames_tells_each_frame_its_own_signals():
    torch.manual_seed(0)
    block = mcvd.FrameBlock(1, 3)
    net = mcvd.nets.SpaceTimeUNet(
        block, 1, 8, (1, 2), 1, attention_levels=(), time_levels=(), head_channels=8, num_signals=2
    )
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    noisy, signals = torch.randn(2, 3, 1, 16, 16), torch.randn(2, 4, 2)
    told, changed = torch.ones(2, dtype=torch.bool), signals.clone()
    changed[:, 2] += 1  # of the second current frame

    def answer(signals, net=net):
        context = mcvd.nets.Context(torch.zeros(2, 1, 1, 16, 16), told[:, None], signals=signals, keep_signals=told)
        return net(noisy, torch.tensor([300.0, 700.0]), net.encode_condition(context, cache=True))

    one, other = answer(signals), answer(changed)
    assert torch.equal(one[:, [0, 2]], other[:, [0, 2]]) and not torch.equal(one[:, 1], other[:, 1])
    with pytest.raises(ValueError, match=r"told signals \(B, 4, 2\), got \(2, 4, 3\)"):
        answer(torch.zeros(2, 4, 3))


def test_a_model_of_frames_trains_on_signals_follows_them_and_is_guided_over_them():
    model = space_time()
    batch = {"video": pixels(2, 5, 1, 16, 16), "signals": torch.randn(2, 5, 3), "index": [0, 1]}
    assert model.loss(batch).isfinite().all()
    steady, turned = torch.zeros(6, 3), torch.zeros(6, 3)
    turned[3:] = 2.0
    straight, turning = (model.predict(PAST, 6, signals=each, **OPTIONS) for each in (steady, turned))
    assert torch.equal(straight[:, :3], turning[:, :3]) and not torch.equal(straight[:, 3:], turning[:, 3:])
    guided = model.predict(PAST, 6, signals=turned, guidance=3.0, guidance_drops="signals", **OPTIONS)
    assert not torch.equal(guided, turning)
    assert not torch.equal(model.predict(PAST, 6, **OPTIONS), straight)


def test_a_rolling_window_is_told_the_signals_of_its_frames():
    model = space_time(frame_noise={"p_rising": 0.5})
    steady, turned = torch.zeros(6, 3), torch.zeros(6, 3)
    turned[5:] = 2.0
    straight, turning = (model.predict(PAST, 6, signals=each, rolling=True, **OPTIONS) for each in (steady, turned))
    assert torch.equal(straight[:, :3], turning[:, :3])  # the window of frame 3 is the first that holds frame 5
    assert not torch.equal(straight[:, 3:], turning[:, 3:])
