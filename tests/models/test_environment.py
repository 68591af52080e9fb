"""A model as an environment: gymnasium's own checks, and that what was done before is told."""

import numpy as np
import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd

environment = pytest.importorskip("mcvd.models.environment", reason="needs gymnasium")

STARTS = pixels(3, 2, 3, 16, 16)


@pytest.fixture(scope="module")
def model():
    config = tiny_config(channels=3, future=0)
    config["net"]["init_args"]["num_signals"] = 2
    config["signals"] = {"names": ["dx", "dy"], "low": [-1, -2], "high": [1, 2]}
    torch.manual_seed(0)
    model = mcvd.build(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def made(model, **options):
    return environment.VideoEnv(model, STARTS, steps=1, **options)


def test_it_has_the_interface_of_gymnasium(model):
    from gymnasium.utils.env_checker import check_env

    env = made(model, frames_per_step=1)
    check_env(env, skip_render_check=True)
    assert env.action_space.low.tolist() == [-1, -2] and env.action_space.high.tolist() == [1, 2]
    assert env.observation_space.shape == (16, 16, 3)


def test_an_episode_is_what_the_model_predicts_step_by_step(model):
    env = made(model, frames_per_step=2, max_steps=2, reward=lambda frames, action: frames.mean() + action[0])
    first, info = env.reset(seed=5, options={"start": 1})
    assert np.array_equal(first, STARTS[1, -1].permute(1, 2, 0).numpy()) and info == {"start": 1}
    actions = torch.tensor([[0.5, 0], [-0.5, 1]])
    seeds = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5)))
    state, told = STARTS[1:2], actions[:1].expand(2, -1)
    for number, action in enumerate(actions):
        told = torch.cat([told, action.expand(2, -1)])[-4:]
        seed = int(seeds.integers(1 << 40))
        new = model.predict(state, 2, signals=told, seed=seed, steps=1, progress=False)
        state = torch.cat([state, new], 1)[:, -2:]
        seen, reward, ended, truncated, info = env.step(action.numpy())
        assert np.array_equal(info["frames"], new[0].permute(0, 2, 3, 1).numpy())
        assert np.array_equal(seen, env.render())
        assert reward == pytest.approx(info["frames"].mean() + float(action[0]))
        assert (ended, truncated) == (False, number == 1)


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="needs a model with signals"):
        environment.VideoEnv(tiny_model(), STARTS)
    with pytest.raises(ValueError, match="starts must be uint8"):
        environment.VideoEnv(model, STARTS[0])
