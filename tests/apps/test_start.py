"""How commands start: without the packages that only a training, or an option that was not given, needs."""

import os
import subprocess
import sys

from reference.tiny import pixels, tiny_config, tiny_larger, tiny_model

import mcvd

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


def test_who_reads_no_further_gets_no_error(tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    words = [sys.executable, "-m", "mcvd", "info", str(tmp_path / "m")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        command.stdout.close()  # as head does when it has enough
        assert (command.stderr.read(), command.wait()) == ("", 141)
