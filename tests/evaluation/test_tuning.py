"""Which sampler is chosen for a model, and what becomes of the choice."""

import json

import pytest
import torch
from reference.tiny import tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.data.datamodule import VideoData
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.diffusion import TaskSamplers
from mcvd.evaluation import tuning
from mcvd.evaluation.tuning import Trial, change, choose, clips_in_two, tune
from mcvd.samplers import DDIM, LogSNR, SASolver, UniPC


def trial(sampler, crps=1.0, ssim=0.8, diversity=100.0, sharpness=5.0, jitter=0.0):
    generator = torch.Generator().manual_seed(sampler.num_calls)
    means = {"crps": crps, "ssim": ssim, "diversity": diversity, "sharpness": sharpness}
    noise = torch.randn(len(means), 16, generator=generator)
    of_clips = torch.linspace(0.5, 1.5, 16) + jitter * (noise - noise.mean(1, keepdim=True))
    return Trial(
        sampler, {name: tuple((means[name] * row).tolist()) for name, row in zip(means, of_clips, strict=True)}
    )


def test_the_fewest_calls_win_where_nothing_is_lost():
    trials = [trial(SASolver(20), jitter=0.02), trial(UniPC(10), 1.001, jitter=0.02), trial(UniPC(5), 1.2)]
    best, chosen = choose(trials)
    assert best.sampler.num_calls == 20 and chosen.sampler == UniPC(10)


@pytest.mark.parametrize(
    "loss", [{"crps": 1.03}, {"ssim": 0.7}, {"diversity": 85.0}, {"sharpness": 4.6}, {"crps": 1.001}], ids=str
)
def test_a_loss_of_any_kind_is_not_bought_with_calls(loss):
    # Without jitter the interval of a difference has no width: even a thousandth is a loss.
    best, chosen = choose([trial(SASolver(20)), trial(UniPC(5), **loss)])
    assert chosen is best


def test_of_equally_many_calls_the_nearer_one_is_taken():
    trials = [
        trial(SASolver(20), 1.0, jitter=0.1),
        trial(UniPC(5), 1.004, jitter=0.1),
        trial(DDIM(5), 1.002, jitter=0.1),
    ]
    assert choose(trials)[1].sampler == DDIM(5)


def test_a_change_is_paired_over_clips():
    before = trial(SASolver(20))
    after = trial(UniPC(5), 1.01)
    found = change(after, before, "crps")
    assert found.mean == pytest.approx(0.01, abs=1e-5) and found.high - found.low < 1e-5
    doubled = Trial(UniPC(5), {"diversity": tuple(4 * value for value in before.per_clip["diversity"])})
    assert change(doubled, before, "diversity").mean == pytest.approx(1)  # the root of the mean square


def test_no_video_is_both_chosen_and_reported_on():
    def clips_of(num_videos, num_frames):
        videos = DrivingScenes(num_videos, num_frames=num_frames)
        data = VideoData(train=videos, val=videos, num_frames=4, size=16, max_val_clips=None)
        return clips_in_two(data, 3)

    choosing, reporting = clips_of(6, 4)
    assert len(choosing) == len(reporting) == 3
    assert not any(torch.equal(a, b) for a in choosing for b in reporting)
    choosing, reporting = clips_of(1, 16)
    assert len(choosing) == len(reporting) == 2 and not torch.equal(choosing[1], reporting[0])
    with pytest.raises(ValueError, match="too few"):
        clips_of(3, 4)


def test_generation_is_tuned_without_a_truth_for_its_frames():
    clips = torch.randint(0, 256, (2, 10, 1, 16, 16), dtype=torch.uint8)
    found = tune(tiny_model(), clips, clips, "generate", candidates=[DDIM(1)], num_samples=2, num_frames=3)
    assert "psnr" not in found.choosing[0].per_clip
    assert {UniPC(10), DDIM(1)} < {each.sampler for each in found.choosing}


def test_samplers_are_tried_where_the_models_own_one_calls():
    model, own = tiny_model(), SASolver(3, spacing=LogSNR(sigma_min=0.25))
    model.samplers = TaskSamplers(predict=own)
    clips = torch.randint(0, 256, (2, 7, 1, 16, 16), dtype=torch.uint8)
    found = tune(model, clips, clips, "predict", candidates=[DDIM(1)], num_samples=2, num_frames=3)
    tried = [each.sampler for each in found.choosing]
    assert tried[:2] == [own, DDIM(1, spacing=own.spacing)] and not any(each.clip for each in tried[2:])


@pytest.mark.parametrize("helps", [True, False])
def test_what_is_best_is_tried_without_clipping_and_if_that_is_better_all(monkeypatch, helps):
    scores = {SASolver(20): 1.0, UniPC(5): 1.1, UniPC(4): 0.8}
    if helps:
        scores |= {UniPC(4, clip=False): 0.7, SASolver(20, clip=False): 0.9, UniPC(5, clip=False): 0.6}
    else:
        scores |= {UniPC(4, clip=False): 0.9}
    monkeypatch.setattr(tuning, "try_sampler", lambda model, clips, task, each, **options: trial(each, scores[each]))
    found = tune(tiny_model(), torch.empty(0), torch.empty(0), "predict", candidates=[UniPC(5), UniPC(4)])
    assert [each.sampler for each in found.choosing] == [*scores]
    assert found.best == (UniPC(5, clip=False) if helps else UniPC(4))
    assert ("UniPC:5, not clipped" in "".join(found.table())) is helps


def test_one_sample_has_no_spread():
    with pytest.raises(ValueError, match="2 or more"):
        tune(tiny_model(), torch.empty(0), torch.empty(0), "predict", num_samples=1)


def tune_command(*words, candidates=("DDIM", "--steps", "1", "2")):
    data = [
        "--config",
        "datasets/driving_scenes/data.yaml",
        "--num-clips",
        "2",
        "--num-samples",
        "2",
        "--num-frames",
        "3",
    ]
    return main(["tune-sampler", *words, *data, "--samplers", *candidates])


def test_the_command_gives_a_model_its_samplers(tmp_path, capsys):
    folder = tmp_path / "model"
    tiny_model(channels=3).save_pretrained(folder, data="squares", license="mit")
    weights = (folder / "model.safetensors").read_bytes()
    assert tune_command(str(folder), "--tasks", "predict") == 0
    model, table = mcvd.load(folder), json.loads((folder / "samplers.json").read_text())
    assert repr(model.samplers.predict) == table["tasks"]["predict"]["chosen"]
    assert model.samplers.generate is None
    assert {row["num_calls"] for row in table["tasks"]["predict"]["choosing"]} == {1, 2, 20}
    assert any("clip=False" in row["sampler"] for row in table["tasks"]["predict"]["choosing"])
    card = (folder / "README.md").read_text()
    assert "squares" in card and "\nmit\n" in card and card.count("## Samplers") == 1 and "(chosen)" in card
    assert (folder / "model.safetensors").read_bytes() == weights
    # Again, elsewhere, of another task: what is known stays.
    assert tune_command(str(folder), "--tasks", "backward", "--out", str(tmp_path / "other")) == 0
    other = mcvd.load(tmp_path / "other")
    assert other.samplers.predict == model.samplers.predict and other.samplers.backward
    assert "squares" in (tmp_path / "other/README.md").read_text()


def test_samplers_are_told_as_they_are_asked_for(tmp_path, capsys):
    tiny_model(channels=3).save_pretrained(tmp_path / "model")
    candidates = "DDIM:1", "mcvd.samplers.UniPC", "--steps", "2"
    assert tune_command(str(tmp_path / "model"), "--tasks", "predict", candidates=candidates) == 0
    told = capsys.readouterr()
    tried = [line.split()[-1] for line in told.err.splitlines() if "CRPS" in line and "(in use)" not in line]
    assert tried[:2] == ["DDIM:1", "UniPC:2"] and "SASolver:20 (in use)" in told.err
    assert "| `SASolver:20` (chosen) | 20 |" in told.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val-root", "nowhere"], "nowhere"),
        (["--tasks", "predikt"], "did you mean"),
        (["--out", "tests"], "not empty"),
    ],
)
def test_mistakes_are_told_in_a_line_and_change_nothing(tmp_path, capsys, words, message):
    folder = tmp_path / "model"
    tiny_model(channels=3).save_pretrained(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["tune-sampler", str(folder), "--config", "datasets/driving_scenes/data.yaml", *words]) != 0
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_needs_a_new_folder(tmp_path, capsys):
    (tmp_path / "last.ckpt").touch()
    assert main(["tune-sampler", str(tmp_path), "--config", "datasets/driving_scenes/data.yaml"]) == 2
    assert "--out" in capsys.readouterr().err
