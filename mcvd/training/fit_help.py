"""What ``mcvd fit --help`` says before its hundreds of options."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter

from jsonargparse import DefaultHelpFormatter

_USAGE = "%(prog)s [--config NAME_OR_FILE] [--data.root FOLDER] [--SECTION.OPTION VALUE ...]"

JSON_HELP = (
    "  --json                           print the result as one JSON object; all else goes to the standard error"
)

ABOUT = f"""Train a model.

examples:
  mcvd fit --data.root my_videos --data.frame_rate_hz 10          # a new model, as the config "small" says
  mcvd fit --init_from bundled --data.root my_videos              # train the bundled model further
  mcvd fit --config small --data.root my_videos --ckpt_path last  # go on where the last run stopped
  mcvd fit --config mine.yaml                                     # a file of yours: differences from the defaults

what is set most often:
  --data.root FOLDER               videos; --data.val_root: those to validate on, else the last ones of the folder
  --data.frame_rate_hz X           the rate at which they are read
  --data.batch_size N              clips a step (on each process), or auto: as many as memory holds
  --data.num_workers N             processes that read videos
  --data.cache FOLDER              decode every video once
  --trainer.max_steps N            when to stop; --trainer.max_time 00:01:30:00 is an hour and a half
  --trainer.accelerator cpu        cpu or gpu; else what there is
  --trainer.precision bf16-mixed   16 bits, where the machine is fast in them
  --trainer.default_root_dir DIR   runs are kept in DIR/run-1, DIR/run-2, ... (runs/NAME of the config)
  --model.size [H,W]               size of the frames
  --model.optimizer.init_args.lr X
  --checkpoints.every_n_steps N    what a crash can cost
  --preview.every_n_steps N        samples beside the ground truth, below the run's folder
{JSON_HELP}
  --print_config                   everything as it will be, for a config of your own

All options below are arguments of classes: of mcvd.MCVD (model), mcvd.data.VideoData (data), Lightning's Trainer
(trainer) and callbacks in mcvd.training."""


class _HelpFormatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):  # type: ignore[misc]
    """jsonargparse's, with the lines of the description as they are."""


HELP = {"usage": _USAGE, "formatter_class": _HelpFormatter}
"""What a parser of a training is given for its help."""
