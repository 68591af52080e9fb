"""Mistakes at the command line: found before any work, told in one line that says what to change."""

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY
from torchvision.transforms.functional import to_pil_image

from mcvd import write_video
from mcvd.apps.cli.main import main

# What was typed -> what has to be said. Where a model is no part of it none is there: none is opened before.
PREDICT = "predict VIDEO --num-frames 3 --out o.mp4 --model nowhere"
TYPED = {
    "": ["name a command", "mcvd demo"],
    "pridict VIDEO": ["no command pridict", "did you mean predict?"],
    "train --data.root videos": ["did you mean fit?"],
    "sample": ["did you mean generate?"],
    "gui": ["did you mean studio?"],
    "nonsense": ["no command nonsense", "fit, predict, interpolate"],
    "data": ["ACTION"],
    "data chek videos": ["no command data chek", "did you mean check?"],
    "predict": ["VIDEO, --num-frames, --out"],
    "predict --num-frames 3 --out o.mp4": ["required: VIDEO"],
    "predict VIDEO --num-frames 3": ["required: --out", "predict --help"],
    "predict VIDEO VIDEO --num-frames 3 --out o.mp4": ["nothing was expected after", "predict --help"],
    f"{PREDICT} --num-inference-steps 4": ["no option --num-inference-steps", "did you mean --steps?"],
    f"{PREDICT} --num_inference_steps 4": ["did you mean --steps?"],
    f"{PREDICT} --guidance-scale 4": ["did you mean --guidance?"],
    f"{PREDICT} --scheduler DDIM": ["did you mean --sampler?"],
    f"{PREDICT} --output o.mp4": ["did you mean --out?"],
    f"{PREDICT} -o o.mp4": ["no option -o", "did you mean --out?"],
    f"{PREDICT} --batchsize 4": ["did you mean --batch-size?"],
    f"{PREDICT} --zebra 4": ["no option --zebra", "predict --help"],
    "predict VIDEO --frames 3 --out o.mp4": ["did you mean --num-frames?"],
    "predict VIDEO --num-frames three --out o.mp4": ["--num-frames", "whole number", "three"],
    "predict VIDEO --num-frames 0 --out o.mp4": ["--num-frames", "at least 1", "got 0"],
    f"{PREDICT} --seed 1.5": ["--seed", "whole number", "1.5"],
    f"{PREDICT} --seed -1": ["--seed", "at least 0", "-1"],
    f"{PREDICT} --fps 0": ["--fps", "more than 0"],
    f"{PREDICT} --fps nan": ["--fps", "finite"],
    f"{PREDICT} --guidance inf": ["--guidance", "finite"],
    f"{PREDICT} --guidance strong": ["--guidance", "number", "strong"],
    f"{PREDICT} --guidance-drops all": ["--guidance-drops", "both", "past", "future"],
    f"{PREDICT} --guidance-drops future": ["--guidance-drops", "--guidance 2"],
    f"{PREDICT} --fps 1e9": ["--fps", "0.01 to 1000", "got 1e9"],
    f"{PREDICT} --precision fp32": ["--precision", "float32"],
    f"{PREDICT} --steps": ["--steps", "expected one argument"],
    f"{PREDICT} --sampler DDMP": ["no sampler DDMP", "did you mean DDPM"],
    f"{PREDICT} --sampler dpm++": ["did you mean DPMSolverPP?"],
    f"{PREDICT} --sampler Zebra": ["no sampler Zebra", "DDIM, DDPM"],
    f"{PREDICT} --sampler adaptivesde --steps 3": ["AdaptiveSDE chooses its steps itself"],
    f"{PREDICT} --device abacus": ["--device abacus", "there are cpu"],
    f"{PREDICT} --device cuda:99": ["--device cuda:99", "this machine has no such device"],
    f"{PREDICT} --at 30": ["--at 30", "frames 0 to 29"],
    f"{PREDICT} --at -1": ["--at", "at least 0"],
    "predict absent.mp4 --num-frames 3 --out o.mp4 --model nowhere": ["absent.mp4", "no such file"],
    "predict text.mp4 --num-frames 3 --out o.mp4 --model nowhere": ["text.mp4", "cannot be opened"],
    "predict VIDEO --num-frames 3 --out o.webm --model nowhere": ["--out o.webm", ".mp4"],
    "predict VIDEO --num-frames 3 --out none/o.mp4 --model nowhere": ["no folder none"],
    "predict VIDEO --num-frames 3 --out videos --model nowhere": ["--out videos", "not empty"],
    "predict VIDEO --num-frames 3 --out VIDEO --model nowhere": ["input itself"],
    "predict VIDEO --num-frames 3 --out . --model nowhere": ["--out .: name a new file or folder"],
    "cascade tiny tiny --out ..": ["--out ..: name a new file or folder"],
    "predict VIDEO --num-frames 3 --model nowhere --out=": ["nothing stands after --out", "variable of the shell"],
    "predict VIDEO --num-frames 3 --out o.mp4 --model .": ["models are in it", "such as tiny"],
    PREDICT: ["no model at nowhere", "user/name"],
    f"{PREDICT} --sampler diffusers.EulerDiscret": ["did you mean EulerDiscreteScheduler?"],
    f"{PREDICT} --sampler EulerDiscreteScheduler": ["did you mean diffusers.EulerDiscreteScheduler?"],
    f"{PREDICT} --sampler my_module.Zebra": ["--sampler my_module.Zebra", "PYTHONPATH"],
    f"{PREDICT} --sampler json.JSONDecoder": ["not a subclass of mcvd.samplers.AbstractSampler"],
    f"{PREDICT} --keyframe 1=none.png": ["--keyframe none.png", "no such file"],
    f"{PREDICT} --keyframe 99=picture.png": ["--keyframe 99=picture.png", "frames are 0 to 2"],
    f"{PREDICT} --keyframe picture.png": ["N=PICTURE", "picture.png"],
    f"{PREDICT} --signal steering": ["NAME=VALUE", "steering"],
    f"{PREDICT} --fps 25fps": ["--fps", "number", "25fps"],
    f"{PREDICT} --processes 0": ["--processes", "at least 1"],
    f"{PREDICT} --known-by magic": ["--known-by", "guidance", "condition"],
    f"{PREDICT} --known-by guidance": ["--known-by guidance", "none is given", "--keyframe N=PICTURE or --loop"],
    f"{PREDICT} --keyframe -1=picture.png": ["--keyframe", "write --keyframe=VALUE"],
    f"{PREDICT} --axes THW": ["no arrays at videos/a.mp4", "(.npy, .npz,"],
    "predict tiny --num-frames 3 --out o.mp4 --model VIDEO": ["tiny is a model", "--model"],
    "predict videos --num-frames 3 --out o.mp4 --model nowhere": ["holds no pictures", "such as videos/a.mp4"],
    "predict empty --num-frames 3 --out o.mp4 --model nowhere": ["empty", "holds no pictures"],
    "predict VIDEO --num-frames 3 --out o.mp4 --model tiny/config.json": ["name its folder, tiny"],
    "predict VIDEO --num-frames 3 --out o.mp4 --model empty": ["empty", "config.json and model.safetensors missing"],
    "predict VIDEO --num-frames 3 --out o.mp4 --model VIDEO": ["another kind of file", "exported folder"],
    "interpolate VIDEO --num-frames 3 --out o.mp4": ["did you mean --gap START:END?"],
    "interpolate VIDEO VIDEO --gap 4:6 --out o.mp4": ["nothing was expected after"],
    "upsample VIDEO --factor 2.5 --out o.mp4": ["--factor", "at least 2", "2.5"],
    "upsample VIDEO --factor 1 --out o.mp4": ["--factor", "at least 2", "1"],
    "upsample picture.png --factor 2 --out o.mp4 --model nowhere": ["picture.png", "at least 2 are needed"],
    "generate --num-frames 3 --num-samples 0 --out o.mp4": ["--num-samples", "at least 1"],
    "interpolate VIDEO --gap 9:5 --out o.mp4 --model nowhere": ["--gap", "START < END"],
    "interpolate VIDEO --gap 5 --out o.mp4 --model nowhere": ["--gap", "START:END", "numbers of frames"],
    "interpolate VIDEO --gap 4:6 --known-by guidance --out o.mp4 --model nowhere": [
        "none is given",
        "--inpaint PICTURE",
    ],
    "generate --num-frames 3 --known-by guidance --out o.mp4 --model nowhere": ["none is given", "--loop"],
    "interpolate VIDEO --gap 0:5 --out o.mp4 --model nowhere": ["nothing on one side", "mcvd predict"],
    "interpolate VIDEO --gap 20:40 --out o.mp4 --model nowhere": ["--gap 20:40", "30 frames"],
    "generate VIDEO --num-frames 3 --out o.mp4": ["nothing was expected after", "generate --help"],
    "evaluate --root videos --model nowhere": ["--out result.json"],
    "evaluate --out r.json --model nowhere": ["--root", "--config"],
    "evaluate --root none --out r.json --model nowhere": ["--root none", "no such file or folder"],
    "evaluate --root videos --out r.csv --model nowhere": ["--out r.csv", ".json"],
    "evaluate --root videos --out none/r.json --model nowhere": ["--out none/r.json", "there is no folder none"],
    "evaluate --root videos --out /proc/r.json --model nowhere": ["nothing can be written to /proc"],
    "generate --num-frames 3 --out /proc/o.mp4 --model nowhere": ["nothing can be written to /proc"],
    "export text.mp4 --out /proc/a/m": ["--out /proc/a/m", "nothing can be written to /proc"],
    "evaluate --root videos --out r.json --model nowhere --task foretell": ["predict, backward, interpolate"],
    "evaluate --root videos --out r.json --model nowhere --protocol mcvd-2022/kth": ["did you mean mcvd-2022/kth-10"],
    "evaluate --root videos --out r.json --model nowhere --metric lpips": ["MODULE.NAME", "LPIPS with --lpips-weights"],
    "evaluate --root videos --out r.json --model nowhere --metric my.LPIPS": ["--metric my.LPIPS", "MODULE.NAME"],
    "evaluate --root videos --out r.json --model nowhere --weights w.pt": ["--weights w.pt", "no such file"],
    "evaluate --root empty --out r.json --model tiny": ["no readable video below empty", "numbered frames"],
    "evaluate --config tiny/config.json --out r.json --model tiny": ["no section data:", "datasets/own_videos"],
    "evaluate --root videos --num-frames 100 --out r.json --model tiny": [
        "no video is long enough",
        "use longer videos",
    ],
    "evaluate --compare a.json b.json": ["a.json: No such file"],
    "predict https://a.org/b.mp4 --num-frames 2 --out f.mp4": ["https://a.org/b.mp4", "download it first"],
    "info --model tiny": ["there is no option --model", "MODEL stands by itself: mcvd info MODEL"],
    "predict --video a.mp4 --num-frames 3 --out o.mp4": ["VIDEO stands by itself: mcvd predict VIDEO"],
    "info broken.yaml": ["broken.yaml is a config", "mcvd fit --config broken.yaml"],
    "fit --data.root videos --model.size 64": ["model.size: expected a list, got 64", '"[64, 64]"'],
    "fit --config small --data.root videos --data.fps 10": ["--data.fps", "did you mean --data.frame_rate_hz?"],
    "fvd videos none": ["none", "no such file or folder"],
    "fvd empty videos": ["no readable video below empty"],
    "fvd videos": ["required: FAKE_DIR"],
    "fvd videos videos --weights w.pt": ["--weights w.pt", "no such file"],
    "convert none.pt --config c.yml --out m": ["none.pt", "no such file"],
    "convert text.mp4 --config c.yml --out m": ["--config c.yml", "no such file"],
    "export none.ckpt --out m": ["no checkpoint at none.ckpt", "training run"],
    "export text.mp4 --out videos": ["--out videos", "not empty"],
    "export text.mp4 --out m --scores r.json": ["--scores r.json", "no such file"],
    "data check none": ["none", "no such file or folder"],
    "evaluate --compare a.json b.json --root videos": ["--compare", "leave out --root"],
    "evaluate --compare a.json b.json --size 64": ["--compare", "leave out --size"],
    "evaluate --val-root videos --protocol mcvd-2022/kth-10-30 --out r.json --model tiny": [
        "of size (64, 64), this one has (16, 16)",
        "--size 64x64 scores it so",
    ],
    "data check videos --config smal": ["--config smal", "did you mean small?"],
    "data check videos --preview p.jpg": ["--preview p.jpg", ".png"],
    "data pack videos --out videos": ["--out videos", "name a new folder"],
    "demo --video none.mp4": ["--video none.mp4", "no such file"],
    "demo --out videos": ["--out videos", "not empty"],
    "studio --port 99999": ["--port", "1 to 65535"],
    "studio --model nowhere": ["no model at nowhere"],
    "fit": ["--config small --data.root FOLDER"],
    "fit --config smal --data.root videos": ["--config smal", "did you mean small?"],
    "fit --config none.yaml --data.root videos": ["--config none.yaml", "small"],
    "fit --config tiny/config.json --data.root videos": ["is the config of a model", "--init_from tiny"],
    "fit --config broken.yaml --data.root videos": ["broken.yaml: line 2", "YAML"],
    "fit --config list.yaml --data.root videos": ["list.yaml", "mapping of sections"],
    "fit --config key.yaml --data.root videos": ["key.yaml: model has no key blok", "did you mean block?"],
    "fit --config deep.yaml --data.root videos": ["deep.yaml: model.block has no key pats", "did you mean past?"],
    "fit --config section.yaml --data.root videos": ["section.yaml: there is no section modle", "did you mean model?"],
    "fit --config codec.yaml --data.root videos": ["no codec in a folder runs/none/codec", "mcvd fit-codec"],
    "fit --init_from nowhere --data.root videos": ["no model at nowhere", "bundled"],
    "fit --data.root none": ["--data.root none"],
    "fit --config small --data.rot videos": ["no option --data.rot", "did you mean --data.root?"],
    "fit --config small --data.root videos --max_steps 3": ["did you mean --trainer.max_steps?"],
    "fit --config small --data.root videos --lr 1": ["did you mean --model.optimizer.init_args.lr?"],
    "fit --config small --data.root videos --resume last": ["did you mean --ckpt_path last?"],
    "fit --config small --data.root videos --model.net mcvd.nets.Unet": ["did you mean UNet?"],
    "fit --config small --data.root videos --model.net Nope": ["model.net names 'Nope'", "mcvd.nets.UNet,", "your own"],
    "fit --config small --data.root videos --model.schedule Cosin": ["model.schedule", "did you mean Cosine?"],
    "fit --config small --data.root videos --model.optimizer Adamm": ["model.optimizer", "did you mean Adam?"],
    "fit --config small --data.root videos --data.train DrivingScene": ["data.train", "did you mean DrivingScenes?"],
    "fit --config small --data.root videos --preview.sampler UniP": ["preview.sampler", "did you mean UniPC?"],
    "fit --config small --data.root videos --trainer.logger CSVLoger": ["trainer.logger", "did you mean CSVLogger?"],
    "fit --config small --data.root videos --model.net.widht 8": ["model.net", "no key widht; did you mean width?"],
    "fit --config small --data.root videos --model.codec.kindd a": ["mcvd.models.codecs.Pixels has no argument kindd"],
    "fit --config small --data.root videos --data.train.init_args.seed 3": ["name one first, --data.train CLASS"],
    "fit --config small --data.root videos --model.reference frames --model.reference_floor 0.01": ["context", "leave"],
    "fit --config small --data.root videos --data.augment.max_speed 2.5": [
        "data.augment.max_speed",
        "whole",
        "got 2.5",
    ],
    "fit --config small --data.root videos --data.augment.max_speed 0": ["mcvd: max_speed must be 1 to 1024, got 0"],
    "fit --config small --data.root videos --data.times.p_far x": ["mcvd: data.times.p_far: expected a number, got x"],
    "fit --config small --data.root videos --model.net.width x": ["mcvd: model.net.width: expected a whole number"],
    "fit --config small --data.root videos --model.samplers.predict.order 2": ["first, --model.samplers.predict CLASS"],
    "fit -csmall --data.rot videos": ["no option --data.rot", "did you mean --data.root?"],
    "fit -csmal --data.root videos": ["--config smal", "did you mean small?"],
    "fit --config small --data.root videos --trainer.default_root_dir /proc/a": ["nothing can be written to /proc"],
    "fit --config small --data.root videos --trainer.default_root_dir text.mp4/runs": ["text.mp4 is a file"],
    "distill tiny --data.root videos --trainer.default_root_dir /proc/a": ["nothing can be written to /proc"],
    "data pack videos --out /proc/a": ["--out /proc/a", "nothing can be written to /proc"],
    "fit --config small --data.root videos --model.predicts noise": ["model.predicts", "'eps'", "got noise"],
    "fit --config small --data.root videos --trainer.precision fp8": ["trainer.precision", "bf16-mixed", "got fp8"],
    "fit --config small --data.root videos --data.size [32,32]": ["data.size follows model.size", "--model.size"],
    "fit --config small --data.root videos --data.channels 1": ["data.channels follows model.channels"],
    "fit --config small --data.root videos --model.block 3": ["--model.block 3", "such as --model.block."],
    "distill nowhere --data.root videos": ["mcvd: no model at nowhere"],
    "fit --config small --data.root videos --ckpt_path none.ckpt": ["--ckpt_path none.ckpt", "'last'"],
    "fit --config small --data.root videos --ckpt_path last": ["--ckpt_path last", "nothing to resume"],
}
NET = "--model.net.init_args"
TRAINING = {
    "a block longer than the clips": (["--model.block.current=50"], ["52 frames", "12 frames"]),
    "frames whose size is not divisible": (["--model.size=[9, 16]"], ["9x16", "divisible by 2"]),
    "attention heads that do not divide": (
        [f"{NET}.attention_levels=[1]", f"{NET}.head_channels=7"],
        ["7", "head_channels"],
    ),
    "no such data": (["--data.train=null", "--data.root=nowhere"], ["nowhere"]),
    "a batch too large for memory": (["--data.batch_size=100000000"], ["are free", "--data.batch_size"]),
    "a batch of nothing": (["--data.batch_size=0"], ["batch_size", "0"]),
    "weights in shards": (["--trainer.strategy=deepspeed"], ["deepspeed", "averages", "take fsdp"]),
    "a word for a number": (["--trainer.max_steps=many"], ["max_steps", "many"]),
}
MAKING = {
    "guidance without masks": ({"p": 0.0}, ["predict", "--guidance=2"], ["mask"]),
    "interpolation without future frames": ({"future": 0}, ["interpolate", "--gap=4:6"], ["future"]),
    "generation without masks": ({"p": 0.0}, ["generate"], ["mask"]),
    "more overlap than the block has": ({}, ["predict", "--overlap=9"], ["overlap"]),
}


def said(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a video, a picture, files that are none, and a model."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "videos").mkdir()
    write_video(folder / "videos" / "a.mp4", pixels(30, 3, 16, 16), fps=20)
    (folder / "text.mp4").write_text("no video")
    (folder / "empty").mkdir()
    to_pil_image(pixels(3, 16, 16)).save(folder / "picture.png")
    (folder / "broken.yaml").write_text("a: [1,\n b: 2")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "key.yaml").write_text("model: {blok: {past: 1}}")
    (folder / "deep.yaml").write_text("model: {block: {pats: 1}}")
    (folder / "section.yaml").write_text("modle: {size: 16}")
    codec = {"class_path": "mcvd.models.codecs.Latents", "init_args": {"source": "runs/none/codec"}}
    (folder / "codec.yaml").write_text(yaml.safe_dump({**TINY, "model": {**TINY["model"], "codec": codec}}))
    tiny_model(past=2, current=3, future=2, channels=3).save_pretrained(folder / "tiny")
    return folder


@pytest.mark.parametrize("typed", TYPED)
def test_what_was_typed_wrong_is_told_in_one_line_before_a_model_is_opened(typed, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    words = ["videos/a.mp4" if word == "VIDEO" else word for word in typed.split()]
    assert main(words) in (1, 2)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("mcvd: ") and all(word in line for word in TYPED[typed]), line
    assert "Errno" not in line and "Error" not in line and "\n" not in line
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("argv", [["predict", ""], ["info", "--model", ""], ["fit", "--data.root", ""]])
def test_an_empty_argument_is_told_by_what_stands_before_it(argv, capsys):
    assert main(argv) == 2
    assert f"nothing stands after {argv[-2]}" in said(capsys)


def test_control_characters_of_a_name_do_not_reach_the_terminal(tmp_path, capsys):
    name = tmp_path / "bad\nmcvd: trained 5 steps\x1b[1m.mp4"
    name.write_text("no video")
    assert main(["predict", str(name), "--num-frames", "3", "--out", str(tmp_path / "o.mp4")]) == 1
    line = said(capsys)
    assert "\x1b" not in line and r"bad\nmcvd: trained 5 steps\x1b[1m.mp4" in line


@pytest.mark.parametrize("mistake", TRAINING)
def test_a_mistake_in_a_training_is_found_before_it_begins(mistake, tmp_path, capsys):
    options, named = TRAINING[mistake]
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    status = main(["fit", "--config", str(config), f"--trainer.default_root_dir={tmp_path}/runs", *options])
    line = said(capsys)
    assert all(word in line for word in named), line
    assert "Error:" not in line and status in (1, 2)
    assert not list(tmp_path.glob("runs/*/metrics.csv"))


@pytest.mark.parametrize("mistake", MAKING)
def test_a_mistake_in_making_is_found_before_it_begins(mistake, tmp_path, capsys):
    options, (command, *words), named = MAKING[mistake]
    tiny_model(**options).save_pretrained(tmp_path / "model")
    capsys.readouterr()
    write_video(tmp_path / "given.gif", pixels(10, 1, 16, 16), 10)
    given = [] if command == "generate" else [str(tmp_path / "given.gif")]
    length = [] if command == "interpolate" else ["--num-frames=3"]
    status = main([command, *given, *length, f"--model={tmp_path}/model", f"--out={tmp_path}/out.gif", *words])
    line = said(capsys)
    assert status == 2 and all(word in line for word in named), line
    assert not (tmp_path / "out.gif").exists()


def test_too_little_memory_says_what_to_make_smaller(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mcvd.apps.cli.main._run", lambda argv: torch.empty(1 << 60))
    assert main(["generate"]) == 1
    assert "out of memory" in (line := said(capsys)) and "--data.batch_size" in line and "--size" in line
