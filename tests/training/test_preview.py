"""Videos that are generated while a model is trained."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import mcvd
from mcvd.samplers import DDIM
from mcvd.training.preview import Preview, preview

FAST = DDIM(num_steps=2)


def tiny_model(block, **masking):
    net = {"width": 8, "multipliers": [1, 2], "attention_levels": [], "head_channels": 8, "num_blocks": 1}
    return mcvd.build(
        {
            "block": block,
            "size": [16, 16],
            "net": {"class_path": "mcvd.nets.UNet", "init_args": net},
            "masking": masking,
        }
    )


def some_clips(num_frames):
    return torch.randint(256, (2, num_frames, 3, 16, 16), generator=torch.manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize(
    ("block", "masking", "tasks"),
    [
        ({"past": 1, "current": 2}, {}, {"predict"}),
        ({"past": 1, "current": 2}, {"p_past": 0.5}, {"predict", "generate"}),
        ({"past": 1, "current": 2, "future": 1}, {}, {"interpolate"}),
        (
            {"past": 1, "current": 2, "future": 1},
            {"p_past": 0.5, "p_future": 0.5},
            {"predict", "backward", "interpolate", "generate"},
        ),
        ({"past": 0, "current": 2}, {}, {"generate"}),
    ],
)
def test_a_model_shows_exactly_the_tasks_it_was_trained_for(block, masking, tasks):
    model = tiny_model(block, **masking)
    assert preview(model, some_clips(model.block.num_frames), FAST).keys() == tasks


def test_given_frames_are_the_true_ones_and_made_frames_are_between_them():
    model = tiny_model({"past": 1, "current": 2, "future": 1}, p_past=0.5, p_future=0.5)
    clips = some_clips(4)
    shown = preview(model, clips, FAST)
    truth, made, given = shown["interpolate"]
    assert given == [0, 3] and torch.equal(truth, clips)
    assert torch.equal(made[:, given], clips[:, given]) and not torch.equal(made, clips)
    assert shown["predict"][2] == [0] and shown["backward"][2] == [2] and shown["generate"][2] == []
    assert torch.equal(shown["backward"][0], clips[:, 1:])


def test_a_preview_leaves_pictures_and_videos_and_does_not_disturb_the_training(tmp_path):
    model = tiny_model({"past": 1, "current": 2}).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    callback = Preview(every_n_steps=5, num_videos=2, sampler=FAST)
    trainer = SimpleNamespace(
        global_step=0,
        log_dir=tmp_path,
        is_global_zero=True,
        callbacks=[],
        datamodule=SimpleNamespace(val_clips=[{"video": clip} for clip in some_clips(3)]),
        precision_plugin=SimpleNamespace(forward_context=torch.no_grad),
    )
    callback.on_train_start(trainer, model)
    state = torch.get_rng_state()
    for trainer.global_step in range(7):
        callback.on_train_batch_start(trainer, model, None, 0)
    folder = tmp_path / "previews"
    assert sorted(path.name for path in folder.iterdir()) == ["step-000005-predict.mp4", "step-000005-predict.png"]
    Image.open(folder / "step-000005-predict.png").verify()
    assert mcvd.read_video(folder / "step-000005-predict.mp4").shape == (3, 3, 32, 32)
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    callback.on_train_end(trainer, model)
    assert (folder / "step-000006-predict.png").exists()


@pytest.mark.parametrize("wrong", [{"every_n_steps": 0}, {"num_videos": 0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="1 or more"):
        Preview(**wrong)
