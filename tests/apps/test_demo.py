"""The demo from beginning to end: a model that learns nothing in its few steps, and the bundled one."""

import json

import pytest
import torch
import yaml
from reference.tiny import tiny_config

import mcvd
from mcvd.apps import demo
from mcvd.apps.cli.main import main
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.evaluation.evaluate import evaluate
from mcvd.models.load import BOX


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    config = yaml.safe_load(demo.CONFIG.read_text())
    config["model"] |= tiny_config(channels=3)
    config["trainer"] |= {"max_steps": 2, "precision": "32-true", "accelerator": "cpu"}
    config["data"] |= {"batch_size": 2, "num_workers": 0, "max_val_clips": 2}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    small = pytest.MonkeyPatch()
    for name, value in {"NUM_CLIPS": 3, "NUM_SAMPLES": 2, "NUM_LONG": 12, "SAMPLER": mcvd.samplers.DDIM(2)}.items():
        small.setattr(demo, name, value)
    made = demo.run_demo(folder / "out", folder / "tiny.yaml")
    small.undo()
    return folder / "out", made


def test_the_scores_of_every_task_stand_beside_what_is_to_beat(result):
    out, made = result
    told = json.loads((out / "result.json").read_text())
    assert told["scores"] == made["scores"]
    assert told["scores"].keys() == {"predict", "backward", "interpolate"}
    assert {"model", "copy_last", "extrapolate", "one_sample", "best_of_K"} <= told["scores"]["predict"].keys()
    assert {"model", "blend"} <= told["scores"]["interpolate"].keys()
    assert told["seconds"] > 0


def test_the_page_and_the_videos_are_there(result):
    out, _ = result
    assert "</html>" in (out / "index.html").read_text()
    lengths = {"predict-0": 12, "backward-0": 12, "interpolate-0": 7, "generate-0": 15, "long-0": 14}
    for name, num_frames in lengths.items():
        assert len(mcvd.read_video(out / f"{name}.mp4")) == num_frames


def test_the_model_can_be_used_at_once(result):
    out, _ = result
    model = mcvd.load(out / "model")
    assert model.frame_rate_hz == 10
    assert model.generate(3, sampler=mcvd.samplers.DDIM(1)).shape == (1, 3, 3, 16, 16)


def test_a_folder_with_something_in_it_is_left_alone(result):
    with pytest.raises(FileExistsError, match="nothing was written"):
        demo.run_demo(result[0])


def test_the_bundled_model_works_on_a_video_of_ones_own(tmp_path, monkeypatch, capsys):
    scene = DrivingScenes(1, seed=5).read(0, range(50), (64, 64))
    mcvd.write_video(tmp_path / "mine.mp4", scene, fps=10)
    small = {"NUM_CLIPS": 2, "NUM_SHOWN": 1, "NUM_SAMPLES": 2, "NUM_LONG": 6, "SAMPLER": mcvd.samplers.DDIM(1)}
    for name, value in small.items():
        monkeypatch.setattr(demo, name, value)
    assert main(["demo", "--video", str(tmp_path / "mine.mp4"), "--out", str(tmp_path / "out"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["page"] == str(tmp_path / "out/index.html")
    assert made["details"]["predict"]["num_clips"] == 2
    assert "</html>" in (tmp_path / "out" / "index.html").read_text()
    assert not (tmp_path / "out" / "training").exists()


def test_a_video_too_short_for_the_demo_is_told_before_anything_is_written(tmp_path):
    mcvd.write_video(tmp_path / "short.mp4", torch.zeros(5, 3, 64, 64, dtype=torch.uint8), fps=10)
    with pytest.raises(ValueError, match="short"):
        demo.run_demo(tmp_path / "out", video=tmp_path / "short.mp4")
    assert not (tmp_path / "out").exists()


def test_the_bundled_model_is_small_and_predicts_better_than_chance():
    assert sum(file.stat().st_size for file in BOX.iterdir()) < 16 * 2**20
    model = mcvd.load()
    clips = demo.held_out_clips(model, 4, model.block.current)
    rows = evaluate(model, clips, "predict", num_frames=5, num_samples=4, sampler=mcvd.samplers.DDIM(4)).rows
    assert rows["mean_of_K"].scores["psnr"].mean > rows["extrapolate"].scores["psnr"].mean
