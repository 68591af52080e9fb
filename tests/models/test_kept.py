"""However a model was made, it can be loaded, predict, be evaluated, exported, described and shown in the studio."""

import json
import warnings
from functools import partial

import pytest
import torch
import yaml
from lightning import Trainer
from reference.own_network import Both
from reference.tiny import pixels, tiny_config
from reference.tiny_fit import TINY
from torch.utils.data import DataLoader, TensorDataset

import mcvd
from mcvd.apps.cli.main import main
from mcvd.apps.studio.clip import Clip
from mcvd.apps.studio.job import GenerationRequest
from mcvd.apps.studio.service import Studio
from mcvd.diffusion.tasks import PREDICT
from mcvd.nets import UNet
from mcvd.samplers import DDIM

SMALL = {"width": 8, "multipliers": (1, 2), "num_blocks": 1, "attention_levels": (), "head_channels": 8}
MASKING = mcvd.Masking(0.5, 0.5)
CLIPS = pixels(6, 4, 3, 16, 16)  # of 1 | 2 | 1 frames


def in_python(folder, **net):
    """A checkpoint of a model made in Python and trained by a Trainer of one's own, on plain tensors."""
    model = mcvd.MCVD(mcvd.FrameBlock(1, 2, 1), partial(UNet, **SMALL, **net), size=(16, 16), masking=MASKING)
    own_trainer(2).fit(model, DataLoader(CLIPS, batch_size=3))
    model.trainer.save_checkpoint(folder / "own.ckpt")
    return folder / "own.ckpt"


def by_build(folder):
    """An exported folder of a model that was built from a config."""
    mcvd.build(tiny_config(1, 2, 1, channels=3)).save_pretrained(folder / "built")
    return folder / "built"


def by_fit(folder, **conditioning):
    """The folder of a run of `mcvd fit`."""
    config = json.loads(json.dumps(TINY))
    config["model"]["net"]["init_args"] |= conditioning
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", f"{folder}/tiny.yaml", f"--trainer.default_root_dir={folder}", "--trainer.max_steps=2"]
    assert main(words) == 0
    return folder / "run-1"


def by_saving_what_was_loaded(folder):
    """An export of a model that itself came from a folder."""
    mcvd.MCVD.from_pretrained(by_build(folder)).save_pretrained(folder / "again")
    return folder / "again"


WAYS = {
    "python": in_python,
    "python, own conditioning": partial(in_python, conditioning=Both(4)),
    "build": by_build,
    "fit": by_fit,
    "fit, own conditioning": partial(by_fit, conditioning={"class_path": "reference.own_network.Both"}),
    "from_pretrained": by_saving_what_was_loaded,
}


def own_trainer(num_steps, **options):
    options |= {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(max_steps=num_steps, accelerator="cpu", enable_checkpointing=False, **options)


@pytest.fixture(scope="module", params=WAYS)
def kept(request, tmp_path_factory):
    """Where a model lies, and the trust that opens it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = WAYS[request.param](tmp_path_factory.mktemp("kept"))
    return path, ["reference.own_network"] if "own" in request.param else []


def test_it_opens_with_trust_in_its_own_classes_alone(kept):
    path, trust = kept
    assert mcvd.load(path, trust=trust).block == mcvd.FrameBlock(1, 2, 1)
    if trust:
        with pytest.raises(ValueError, match=r"only classes of mcvd.*trust="):
            mcvd.load(path)


def test_its_export_makes_the_same_video(kept, tmp_path):
    path, trust = kept
    model = mcvd.load(path, trust=trust)
    model.save_pretrained(tmp_path / "m")
    again = mcvd.load(tmp_path / "m", trust=trust)
    one, two = (each.predict(CLIPS[:, :1], 3, sampler=DDIM(2), progress=False) for each in (model, again))
    assert torch.equal(one, two)


def test_every_command_takes_it(kept, tmp_path, capsys):
    path, trust = kept
    trusting = ["--trust", *trust] if trust else []
    mcvd.write_video(tmp_path / "a.mp4", pixels(12, 3, 16, 16), fps=10)
    scenes = TINY["data"] | {"batch_size": 2}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data": scenes}))
    short = ["--model", str(path), "--steps", "1", "--device", "cpu", *trusting]
    assert main(["predict", f"{tmp_path}/a.mp4", "--num-frames", "3", "--out", f"{tmp_path}/b.mp4", *short]) == 0
    few = ["--num-clips", "2", "--num-samples", "1", "--config", f"{tmp_path}/data.yaml"]
    assert main(["evaluate", "--out", f"{tmp_path}/result.json", *few, *short]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["scores"]["num_clips"] == 2
    assert main(["info", str(path), *trusting]) == 0
    if path.suffix == ".ckpt":
        assert main(["export", str(path), "--out", f"{tmp_path}/exported", *trusting]) == 0
        assert main(["info", f"{tmp_path}/exported", *trusting]) == 0
    if trust:
        assert main(["info", str(path)]) == 2
        assert "--trust reference.own_network" in capsys.readouterr().err


def test_the_studio_takes_it(kept):
    path, trust = kept
    studio = Studio(mcvd.load(path, trust=trust), "it")
    studio.begin("somebody")
    clip = Clip("greys", pixels(6, 3, 16, 16), "")
    request = GenerationRequest(PREDICT, DDIM(1))
    *_, last = studio.generate("somebody", clip, range(0, 2), 2, request, lambda part: None)
    assert last.status == "Done: 2 frames."


# Before and after a training


def test_own_classes_are_announced_before_the_training(tmp_path):
    with pytest.warns(UserWarning, match=r"made of reference\.own_network\.Both.*--trust reference\.own_network"):
        in_python(tmp_path, conditioning=Both(4))


def test_and_so_is_what_cannot_be_saved_whose_weights_are_kept_all_the_same(tmp_path):
    block, choices = mcvd.FrameBlock(1, 2, 1), {"size": (16, 16), "net": lambda *frame: UNet(*frame, **SMALL)}
    model, trainer = mcvd.MCVD(block, **choices), own_trainer(1)
    with pytest.warns(UserWarning, match="cannot be exported.*net is a function.*load_from_checkpoint"):
        trainer.fit(model, DataLoader(CLIPS, batch_size=3))
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    with pytest.raises(ValueError, match="not how their model is made: net is a function"):
        mcvd.load(tmp_path / "own.ckpt")
    again = mcvd.MCVD.load_from_checkpoint(tmp_path / "own.ckpt", block=block, **choices)
    weights = model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())


def test_nothing_is_announced_of_a_model_of_ours(tmp_path):
    with warnings.catch_warnings(record=True) as said:
        in_python(tmp_path)
    assert not [each for each in said if "trust" in str(each.message) or "exported" in str(each.message)]


def test_lightnings_way_to_open_a_checkpoint(tmp_path):
    path = in_python(tmp_path, dropout=0.1)
    model = mcvd.MCVD.load_from_checkpoint(path)
    assert model.denoiser.net.training and all(each.requires_grad for each in model.parameters())
    weights = mcvd.load(path).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert mcvd.MCVD.load_from_checkpoint(path, warmup_steps=7).warmup_steps == 7


def test_what_lightning_opened_can_be_saved_with_what_was_changed(tmp_path):
    path = in_python(tmp_path, dropout=0.1)
    saved = mcvd.load(path).config
    assert mcvd.MCVD.load_from_checkpoint(path).config == saved
    changed = mcvd.MCVD.load_from_checkpoint(path, warmup_steps=7, masking=mcvd.Masking(0.25, 0.5))
    assert changed.config == saved | {"warmup_steps": 7, "masking": saved["masking"] | {"p_past": 0.25}}
    changed.save_pretrained(tmp_path / "m")
    assert mcvd.load(tmp_path / "m").masking == mcvd.Masking(0.25, 0.5)
    with pytest.raises(ValueError, match="this model cannot be saved: net is a function"):
        own = mcvd.MCVD.load_from_checkpoint(path, net=lambda *frame: UNet(*frame, **SMALL, dropout=0.1))
        own.save_pretrained(tmp_path / "own")


# Batches of one's own


class Recorder(mcvd.MCVD):
    """Notes the numbers of the clips that it is trained on."""

    def loss(self, batch):
        self.seen = [*getattr(self, "seen", []), tuple(batch["index"])]
        return super().loss(batch)


def recorded(loader, num_steps=4, **options):
    model = Recorder(mcvd.FrameBlock(1, 2, 1), partial(UNet, **SMALL), size=(16, 16), warmup_steps=2)
    own_trainer(num_steps, **options).fit(model, loader)
    return model


@pytest.mark.parametrize("kind", ["tensors", "dictionaries", "TensorDataset"])
def test_any_loader_of_videos_will_do_and_no_two_clips_share_a_number(kind):
    data = {
        "tensors": CLIPS,
        "dictionaries": [{"video": clip} for clip in CLIPS],
        "TensorDataset": TensorDataset(CLIPS),
    }
    seen = recorded(DataLoader(data[kind], batch_size=4)).seen  # 2 batches an epoch, the last one shorter
    assert [len(batch) for batch in seen] == [4, 2, 4, 2]
    assert len({number for batch in seen for number in batch}) == 12
    assert seen == recorded(DataLoader(data[kind], batch_size=4)).seen


def test_the_parts_of_an_accumulated_step_have_numbers_of_their_own():
    seen = recorded(DataLoader(CLIPS, batch_size=2), num_steps=2, accumulate_grad_batches=2).seen
    assert len({number for batch in seen for number in batch}) == 2 * len(seen)


def test_a_loop_without_a_trainer_draws_anew_each_time():
    model = mcvd.MCVD(mcvd.FrameBlock(1, 2, 1), partial(UNet, **SMALL), size=(16, 16))
    assert not torch.equal(model.loss(CLIPS), model.loss(CLIPS))
    assert torch.equal(model.loss({"video": CLIPS, "index": range(6)}), model.loss({"video": CLIPS, "index": range(6)}))


def test_a_batch_without_videos_is_refused():
    model = mcvd.MCVD(mcvd.FrameBlock(1, 2, 1), partial(UNet, **SMALL), size=(16, 16))
    for batch in ({"clips": CLIPS}, (CLIPS, CLIPS), "videos"):
        with pytest.raises(ValueError, match=r"a batch is uint8 videos \(B, T, C, H, W\)"):
            model.loss(batch)
