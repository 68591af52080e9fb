"""How commands start: without the packages that only a training, or an option that was not given, needs."""

import os
import subprocess
import sys

import pytest
from reference.tiny import pixels, tiny_config, tiny_larger, tiny_model

import mcvd
from mcvd.training.words import check_fit_words

SLOW_TO_IMPORT = {
    "decord",
    "huggingface_hub",
    "lightning",
    "matplotlib",
    "scipy",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torchcodec",
    "torchmetrics",
    "torchvision",
}

CODE = """
import sys
from mcvd.apps.cli.main import main

for command in sys.stdin.read().splitlines():
    assert main(command.split()) == 0, command
    print(f"after {command.split()[0]}:", *set(sys.modules) & set(sys.argv[1:]), file=sys.stderr)
"""


def test_commands_that_train_nothing_import_nothing_of_a_training(tmp_path):
    config = tiny_config(past=2, current=3, future=2, channels=3)
    kinds = {
        "m": mcvd.build(config | {"reference": "context", "colored_noise": True}),
        "given": mcvd.build(tiny_config(channels=3, net="SpaceTimeUNet") | {"reference": "given"}),
        "larger": tiny_larger(),
    }
    for name, model in kinds.items():
        model.save_pretrained(tmp_path / name)
    (tmp_path / "videos").mkdir()
    for number in range(4):
        mcvd.write_video(tmp_path / "videos" / f"{number}.mp4", pixels(14, 3, 16, 16, seed=number), fps=10)
    short = f"--model {tmp_path}/m --steps 1 --device cpu"
    commands = [
        *(f"info {tmp_path}/{name}" for name in kinds),
        f"predict {tmp_path}/videos/0.mp4 --num-frames 2 --out {tmp_path}/p.mp4 {short}",
        f"generate --num-frames 2 --out {tmp_path}/g.mp4 {short}",
        f"evaluate --val-root {tmp_path}/videos --num-clips 2 --num-samples 1 --out {tmp_path}/r.json {short}",
        f"tune-sampler {tmp_path}/m --val-root {tmp_path}/videos --steps 2 --num-clips 2 --num-samples 2",
        f"demo --video {tmp_path}/videos/0.mp4 --out {tmp_path}/demo",
    ]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *SLOW_TO_IMPORT],
        input="\n".join(commands),
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    found = [line.removeprefix("after ").strip() for line in done.stderr.splitlines() if line.startswith("after ")]
    assert found == ["info:"] * len(kinds) + ["predict:", "generate:", "evaluate:", "tune-sampler:", "demo:"]


WRONG = {
    "fit": "name a config and a folder of videos",
    "fit --config smal --data.root videos": "did you mean small?",
    "fit --config small --data.root nowhere": "--data.root nowhere: no such folder",
    "fit --data.root=videos --data.val_root=nowhere": "--data.val_root nowhere: no such folder",
    "fit --data.root videos --init_from": "--init_from needs a model",
    "fit --data.root videos --init_from nowhere": "no model at nowhere",
    "fit --data.root videos --init_from bundled --ckpt_path last": "give one of them",
    "fit --config small": "name a folder of videos with --data.root FOLDER",
    "fit --config small --data.rot videos": "no option --data.rot; did you mean --data.root?",
    "fit -csmall --model.nett UNet": "no option --model.nett; did you mean --model.net?",
    "fit --data.root videos --trainer.max_stepz=3": "did you mean --trainer.max_steps?",
    "fit --data.root videos --max_steps 3": "did you mean --trainer.max_steps?",
    "fit --data.root videos --lr 3": "did you mean --model.optimizer.init_args.lr?",
    "fit --data.root videos --dta.root videos": "did you mean --data.root?",
    "fit --data.root videos --trainer.default_root_dir /proc/a": "nothing can be written to /proc",
    "fit-codec --data.root videos --model.kid VQModel": "did you mean --model.kind?",
    "fit-classifier bundled --data.root videos --checkpoints.every_steps 9": "no option --checkpoints.every_steps",
    "distill bundled --data.root videos --cals 2": "no option --cals; did you mean --calls?",
    "fit-codec": "name the videos",
    "fit-codec --json": "name the videos",
    "fit-codec --data.root nowhere": "--data.root nowhere: no such folder",
    "fit-classifier --data.root videos": "name the model to guide first",
    "fit-classifier nowhere --data.root videos": "no model at nowhere",
    "distill --config data.yaml": "name the teacher first",
    "distill nowhere --data.root videos": "no model at nowhere",
    "distill bundled --data.root nowhere": "--data.root nowhere: no such folder",
    "distill bundled --data.root videos --calls 0": "--calls must be 1 or more, got 0",
    "distill bundled --data.root videos --calls=four": "--calls must be a whole number, got 'four'",
    "distill bundled --data.root videos --guidance nan": "--guidance must be a finite number",
    "distill bundled --data.root videos --parts 1": "worth 2 of the teacher's or more, got 1",
    "distill bundled --data.root videos --method=fast": "method must be 'progressive' or 'consistency', got 'fast'",
    "distill bundled --data.root videos --order 3": "of order 1 or 2, got 3",
    "distill bundled --data.root videos --method consistency --order 2": "whose order is 1, got 2",
}

CODE_OF_MISTAKES = """
import sys
from mcvd.apps.cli.main import main

for command in sys.stdin.read().splitlines():
    assert main(command.split()), command
assert "lightning" not in sys.modules
"""


def test_mistakes_in_the_words_of_a_training_are_told_before_lightning_is_imported(tmp_path):
    (tmp_path / "videos").mkdir()
    words = [sys.executable, "-c", CODE_OF_MISTAKES]
    done = subprocess.run(words, input="\n".join(WRONG), text=True, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    assert len(told) == len(WRONG)
    for line, (command, why) in zip(told, WRONG.items(), strict=True):
        assert why in line, command


@pytest.mark.parametrize("unset", ["--ckpt_path null --init_from bundled", "--init_from null --ckpt_path=last"])
def test_options_that_are_set_to_nothing_are_no_mistake(tmp_path, unset):
    check_fit_words(["--data.root", str(tmp_path), "--data.val_root=null", *unset.split()])


def test_who_reads_no_further_gets_no_error(tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    words = [sys.executable, "-m", "mcvd", "info", str(tmp_path / "m")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        command.stdout.close()  # as head does when it has enough
        assert (command.stderr.read(), command.wait()) == ("", 141)


@pytest.mark.skipif(sys.platform == "win32", reason="the C library's __cxa_atexit")
def test_one_of_several_processes_leaves_before_libraries_are_unloaded():
    code = "import ctypes, sys; library = ctypes.CDLL(None); library.__cxa_atexit(library.abort, None, None); "
    code += "from mcvd.apps.cli.main import run; run()"
    for words, status in ((["--version"], 0), (["fit", "--no-such"], 2), ([], 2)):
        command = [sys.executable, "-c", code, *words]
        left = subprocess.run(command, env=os.environ | {"WORLD_SIZE": "2"}, capture_output=True, text=True)
        assert left.returncode == status, left.stderr
        assert left.stdout.startswith("mcvd ") == (status == 0), left.stdout
