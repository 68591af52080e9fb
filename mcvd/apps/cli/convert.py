"""``mcvd convert``: checkpoints of the published MCVD code."""

from __future__ import annotations

from argparse import ArgumentParser

from mcvd.apps.cli import options
from mcvd.apps.cli.checks import MODEL, check_inputs, check_new_folder
from mcvd.apps.cli.options import Command
from mcvd.apps.cli.say import say, say_json

EXAMPLES = """example:
  mcvd convert checkpoint_700000.pt --config config.yml --out smmnist"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT.pt")
    command.add_argument("--config", required=True, help="the config.yml that it was trained with")
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the model")
    command.add_argument("--raw", action="store_true", help="take the raw weights, not the averaged (EMA) ones")
    options.add_json(command)


def run(checkpoint: str, config: str, out: str, raw: bool = False, json: bool = False) -> None:
    """Write the model."""
    check_inputs(CHECKPOINT=checkpoint, config=config)
    check_new_folder(out, MODEL)
    from mcvd.models.files import load_weights
    from mcvd.models.load import build
    from mcvd.models.published.checkpoint import read_published

    published = read_published(checkpoint, config, use_ema=not raw)
    model = build(published.config)
    load_weights(model.denoiser.net, published.state, checkpoint)
    model.save_pretrained(out)
    if json:
        return say_json({"out": out} | model.facts().to_json())
    say(f"{checkpoint} is now the model {out}: {model.facts().summary}")


COMMAND = Command("convert a checkpoint of the published MCVD code to a model of mcvd", run, _add_arguments, EXAMPLES)
