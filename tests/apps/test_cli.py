"""The commands, as a user types them: what they write, what they say, and with which status they leave."""

import json
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.apps.cli import render
from mcvd.apps.cli.main import commands, main
from mcvd.nets import UNet

FAST = ["--steps", "1", "--device", "cpu"]


def frames(path):
    return mcvd.read_video(path)


def greys(path):
    return (frames(path).float().mean((1, 2, 3)) / 8).round().tolist()


def test_predict_goes_on_from_the_end_at_the_rate_of_the_model(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["predict", video, "--model", model, "--num-frames", "4", "--out", str(out), *FAST]) == 0
    assert frames(out).shape == (6, 3, 16, 16)
    assert greys(out)[:2] == pytest.approx([27, 29], abs=0.6)


def test_predict_works_at_another_size(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    words = ["predict", video, "--model", model, "--num-frames", "4", "--out", str(out), *FAST, "--size", "24x48"]
    assert main(words) == 0
    assert frames(out).shape == (6, 3, 24, 48)
    assert greys(out)[:2] == pytest.approx([27, 29], abs=0.6)


def test_predict_goes_on_from_a_chosen_frame(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["predict", video, "--model", model, "--num-frames", "1", "--at", "9", "--out", str(out), *FAST]) == 0
    assert greys(out)[:2] == pytest.approx([7, 9], abs=0.6)


def test_every_frame_takes_them_as_they_come(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    words = ["predict", video, "--model", model, "--num-frames", "1", "--every-frame", "--out", str(out), *FAST]
    assert main(words) == 0
    assert greys(out)[:2] == pytest.approx([28, 29], abs=0.6)


def test_a_video_slower_than_the_model_is_told_of(model, tmp_path, capsys):
    slow, out = tmp_path / "slow.mp4", tmp_path / "out.mp4"
    mcvd.write_video(slow, (torch.arange(12, dtype=torch.uint8) * 8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16), fps=4)
    words = [str(slow), "--model", model, "--out", str(out), *FAST]
    words = ["interpolate", *words, "--gap", "5:7"]
    assert main(words) == 0
    assert "slow.mp4 has 4 frames per second and is read at 10: some frames come twice" in capsys.readouterr().err
    assert main([*words, "--every-frame"]) == 0
    assert "come twice" not in capsys.readouterr().err
    assert greys(out)[4:5] + greys(out)[7:9] == pytest.approx([4, 7, 8], abs=0.6)


def test_backward_puts_what_it_made_before_what_was_given(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    words = ["predict", video, "--model", model, "--num-frames", "4", "--backward", "--out", str(out), *FAST]
    assert main(words) == 0
    assert greys(out)[4:] == pytest.approx([0, 2], abs=0.6)


def test_only_new_leaves_the_given_frames_out(model, video, tmp_path):
    out = tmp_path / "out.mp4"
    words = ["predict", video, "--model", model, "--num-frames", "4", "--only-new", "--out", str(out), *FAST]
    assert main(words) == 0
    assert len(frames(out)) == 4


def test_without_a_model_the_bundled_one_is_used_and_named(tmp_path, capsys):
    out = tmp_path / "out.png"
    assert main(["generate", "--num-frames", "2", "--out", str(out), *FAST]) == 0
    assert out.exists()
    assert "the small bundled one" in capsys.readouterr().err
    assert main(["info"]) == 0
    said = capsys.readouterr()
    assert "64x64, colour" in said.out and "bundled" in said.err


def test_a_folder_gets_a_file_per_sample(model, tmp_path):
    out = tmp_path / "made"
    words = ["generate", "--model", model, "--num-frames", "4", "--num-samples", "3", "--out", str(out), *FAST]
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"sample-{k}.mp4" for k in range(3)]


def test_samples_lie_side_by_side_in_one_file(model, tmp_path):
    out = tmp_path / "made.mp4"
    words = ["generate", "--model", model, "--num-frames", "4", "--num-samples", "3", "--out", str(out), *FAST]
    assert main(words) == 0
    assert frames(out).shape == (4, 3, 16, 48)


def test_uncertainty_shows_mean_spread_and_samples(model, video, tmp_path, capsys):
    out, shown = tmp_path / "made", tmp_path / "spread.png"
    words = ["predict", video, "--model", model, "--num-frames", "4", "--num-samples", "3", "--out", str(out)]
    assert main([*words, "--uncertainty", str(shown), *FAST]) == 0
    assert "grey levels) and samples" in capsys.readouterr().err and len(list(out.glob("*.mp4"))) == 3
    strip = torch.from_numpy(np.array(Image.open(shown)).astype(np.float32))
    columns = torch.stack([strip[2:82, 22 * t + 2 : 22 * t + 18] for t in range(6)])  # frames have borders and gaps
    mean, spread, *samples = columns.split(16, 1)  # of 2 given frames and 4 new ones
    assert (torch.stack(samples).mean(0) - mean).abs().max() <= 0.5
    nothing = spread[0, 0, 0]  # the colour of no spread
    assert (spread[:2] == nothing).all() and (spread[2:] != nothing).any()


def test_interpolate_remakes_the_gap_and_keeps_the_rest(model, video, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    words = ["interpolate", video, "--model", model, "--gap", "10:16", "--out", str(out), *FAST]
    assert main(words) == 0
    made = greys(out)
    assert len(made) == 15
    assert "mcvd: new in it: frames 5 to 7 of 15, counted from 0" in capsys.readouterr().err  # of 30, of twice the rate
    assert made[:5] + made[8:] == pytest.approx([0, 2, 4, 6, 8, 16, 18, 20, 22, 24, 26, 28], abs=0.6)


@pytest.mark.parametrize(
    ("words", "page", "num_videos"),
    [
        (["predict", "VIDEO", "--num-frames", "4", "--at", "10", "--num-samples", "2", "--out", "o.mp4"], "o.html", 6),
        (["predict", "VIDEO", "--num-frames", "4", "--out", "o"], "o/index.html", 2),
        (["predict", "VIDEO", "--num-frames", "4", "--backward", "--out", "o.gif"], "o.html", 2),
        (["interpolate", "VIDEO", "--gap", "10:16", "--out", "o.mp4"], "o.html", 3),
        (["generate", "--num-frames", "4", "--num-samples", "3", "--out", "o"], "o/index.html", 3),
    ],
)
def test_a_gallery_shows_what_was_made_beside_truth_and_rule(
    words, page, num_videos, model, video, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = [video if word == "VIDEO" else word for word in words]
    assert main([*words, "--model", model, "--gallery", *FAST]) == 0
    html = (tmp_path / page).read_text()
    assert html.count("<video") == num_videos
    assert ("<polyline" in html) == ("--at" in words or "--gap" in words)


def test_the_page_of_a_long_video_shows_the_frames_around_the_gap(model, video, tmp_path):
    words = ["interpolate", video, "--gap", "20:23", "--every-frame", "--out", str(tmp_path / "o.mp4")]
    assert main([*words, "--model", model, "--gallery", *FAST]) == 0
    html = (tmp_path / "o.html").read_text()
    heads = [int(part.partition("<")[0]) for part in html.split('<th scope="col">')[1:]]
    assert heads == list(range(16, 27)) and 'data-first="16"' in html
    assert "PSNR in dB by frame" in html and html.count(">20<") == html.count(">22<") == 2  # a head and a tick
    assert len(frames(tmp_path / "o.mp4")) == 30


def test_a_completion_script_is_printed(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--print-completion", "bash"])
    assert left.value.code == 0
    script = capsys.readouterr().out
    assert "--num-frames" in script and "--trainer.max_steps" in script and "--data.root" in script


def test_a_run_is_exported_by_its_folder(model, tmp_path, capsys):
    net = mcvd.load(model)
    (tmp_path / "run-1").mkdir()
    torch.save({"config": net.trained_config(), "state_dict": net.state_dict()}, tmp_path / "run-1" / "last.ckpt")
    assert main(["export", str(tmp_path / "run-1"), "--out", str(tmp_path / "shared"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(tmp_path / "shared")
    weights = mcvd.load(tmp_path / "shared").state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("words", [["--version"], ["help"], ["help", "predict"]])
def test_who_asks_is_answered(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert "mcvd" in capsys.readouterr().out


def test_an_underscore_in_an_option_is_a_hyphen(model, tmp_path):
    out = tmp_path / "o.mp4"
    assert main(["generate", "--model", model, "--num_frames", "2", "--num_samples=2", "--out", str(out), *FAST]) == 0
    assert frames(out).shape == (2, 3, 16, 32)


def test_evaluate_scores_the_model_beside_copying(model, video, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    for number in range(2):
        mcvd.write_video(tmp_path / "videos" / f"{number}.mp4", pixels(12, 3, 16, 16, seed=number), fps=10)
    out = tmp_path / "result.json"
    words = ["evaluate", "--model", model, "--root", str(tmp_path / "videos"), "--num-samples", "2", "--out", str(out)]
    assert main([*words, *FAST]) == 0
    assert {"copy_last", "one_sample"} <= json.loads(out.read_text())["scores"]["rows"].keys()
    told, notes = capsys.readouterr()
    assert "last frame repeated" in told and "CRPS" in told
    assert f"{out}: the result card; {out.with_suffix('.html')}: the same as a page" in notes
    assert "Brier score" not in told and "Brier score" in out.with_suffix(".html").read_text()
    words[-1] = str(tmp_path / "events.json")
    assert main([*words, "--threshold", "100", "--num-clips", "99", *FAST]) == 0
    told, notes = capsys.readouterr()
    assert "values of 100 grey levels or more" in told  # asked for
    assert "99 clips were asked for, 1 were scored: the held-out videos hold no more" in notes


REFUSED = {
    "nothing to read": (["predict", "absent.mp4", "--num-frames", "1", "--out", "o.mp4"], 1, "absent.mp4"),
    "a frame that is not there": (
        ["predict", "VIDEO", "--num-frames", "1", "--at", "30", "--out", "o.mp4"],
        1,
        "0 to 29",
    ),
    "an unknown sampler": (["generate", "--num-frames", "1", "--sampler", "Best", "--out", "o.mp4"], 2, "DDPM"),
    "a sampler in no module": (
        ["generate", "--num-frames", "1", "--sampler", "no.Such", "--out", "o.mp4"],
        2,
        "no.Such",
    ),
    "a class that is no sampler": (
        ["generate", "--num-frames", "1", "--sampler", "json.JSONDecoder", "--out", "o.mp4"],
        2,
        "AbstractSampler",
    ),
    "an unknown ending": (["generate", "--num-frames", "1", "--out", "o.mov"], 2, ".mp4"),
    "its own input as output": (["predict", "VIDEO", "--num-frames", "1", "--out", "VIDEO"], 2, "input itself"),
    "the spread of one": (
        ["predict", "VIDEO", "--num-frames", "1", "--out", "o.mp4", "--uncertainty", "u.mp4"],
        2,
        "--num-samples",
    ),
    "a spread in no file": (
        ["predict", "VIDEO", "--num-frames", "1", "--num-samples", "2", "--out", "o.mp4", "--uncertainty", "o.mp4"],
        2,
        "file of its own",
    ),
    "a gap beyond the end": (["interpolate", "VIDEO", "--gap", "28:40", "--out", "o.mp4"], 1, "30 frames"),
    "an unknown device": (["generate", "--num-frames", "1", "--device", "abacus", "--out", "o.mp4"], 2, "abacus"),
    "more than a disk holds": (
        ["generate", "--num-frames", "1" + 12 * "0", "--out", "o.mp4"],
        1,
        "are needed",
    ),
    "no folder to write to": (["generate", "--num-frames", "1", "--out", "none/o.mp4"], 1, "no folder none"),
    "nothing to score on": (["evaluate", "--out", "r.json"], 2, "--root"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_line_and_a_status(case, model, video, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, status, said = REFUSED[case]
    words = [video if word == "VIDEO" else word for word in words]
    assert main([*words, "--model", model]) == status
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[], ["predict"], ["generate", "--num-frames", "0"], ["interpolate", "--gap", "9:3"]])
def test_wrong_usage_leaves_with_two(words):
    assert main(words) == 2


OWN = """
from dataclasses import dataclass
from mcvd.nets import Concat
from mcvd.samplers import DDIM

@dataclass(frozen=True)
class OwnSampler(DDIM):
    num_steps: int = 7

@dataclass(frozen=True)
class OwnConditioning(Concat):
    pass
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own, on the Python path."""
    (tmp_path / "own_classes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    monkeypatch.delitem(sys.modules, "own_classes", raising=False)


def test_a_sampler_of_ones_own_is_named_by_its_class_path(own, model, tmp_path):
    words = ["generate", "--model", model, "--num-frames", "3", "--device", "cpu", "--steps", "2"]
    for name in ("DDIM", "own_classes.OwnSampler"):
        assert main([*words, "--sampler", name, "--out", str(tmp_path / f"{name}.png")]) == 0
    one, two = (mcvd.read_video(tmp_path / f"{name}.png") for name in ("DDIM", "own_classes.OwnSampler"))
    assert torch.equal(one, two)


def test_a_model_of_own_classes_opens_with_trust_alone(own, tmp_path, capsys):
    from own_classes import OwnConditioning

    net = partial(UNet, width=8, multipliers=(1,), attention_levels=(), head_channels=8, conditioning=OwnConditioning())
    masking, folder = mcvd.Masking(p_past=0.5), str(tmp_path / "model")
    mcvd.MCVD(mcvd.FrameBlock(1, 1), net, size=(8, 8), channels=1, masking=masking).save_pretrained(folder)
    generate = ["generate", "--model", folder, "--num-frames", "1", "--out", str(tmp_path / "o.gif"), *FAST]
    for words in (["info", folder], generate):
        assert main(words) == 2
        assert "--trust own_classes" in capsys.readouterr().err
        assert main([*words, "--trust", "own_classes,another"]) == 0


@pytest.mark.parametrize("name", [name for name, command in commands().items() if command.add_arguments])
def test_every_command_has_a_help(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert commands()[name].help[1:] in " ".join(capsys.readouterr().out.split())


def test_the_help_imports_nothing_heavy():
    code = (
        "import sys; from mcvd.apps.cli.main import main, _parser, commands; _parser(commands()); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "lightning", "jsonargparse"} & {*modules}


def test_processes_exchange_paths_not_videos(model, tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(render, "all_gather", lambda mine: sizes.append(len(pickle.dumps(mine))) or [mine])
    words = ["generate", "--model", model, "--num-frames", "40", "--out", str(tmp_path / "o.mp4"), *FAST]
    assert main(words) == 0
    assert 0 < max(sizes) < 1000 < frames(tmp_path / "o.mp4").numel()


def test_debug_shows_where(model):
    with pytest.raises(ValueError, match="Best"):
        main(["generate", "--model", model, "--num-frames", "1", "--sampler", "Best", "--out", "o.mp4", "--debug"])


def test_two_processes_generate_the_videos_of_one(tmp_path):  # two new processes import torch: seconds
    tiny_model(channels=3).save_pretrained(tmp_path / "model")
    common = ["generate", f"--model={tmp_path}/model", "--num-frames=3", "--num-samples=3", "--steps=2"]
    assert main([*common, f"--out={tmp_path}/one/"]) == 0
    assert main([*common, f"--out={tmp_path}/two/", "--processes=2"]) == 0  # as the shell completes a folder
    for sample in range(3):
        names = [tmp_path / folder / f"sample-{sample}.mp4" for folder in ("one", "two")]
        one, two = (mcvd.read_video(name, size=(16, 16)) for name in names)
        assert (one.int() - two.int()).abs().max() <= 1
    assert not list(tmp_path.glob(".*"))  # nothing half done is left
