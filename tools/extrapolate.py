"""Go on along the way that a training took: the weights of AFTER, and a share of how they differ from BEFORE once more.

    python tools/extrapolate.py runs/box/run-3/last.ckpt runs/box/run-5/last.ckpt --by 0.4 --out box

Between two states of one training (or of fine-tuning from each other) the loss falls along the line that joins them,
often a little beyond. BEFORE and AFTER are what `mcvd.load` opens.
"""

import argparse

import torch

import mcvd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--by", type=float, required=True, help="the share; 0 is AFTER, -1 is BEFORE")
    parser.add_argument("--out", required=True, help="a new folder for the model")
    options = parser.parse_args()
    before, after = mcvd.load(options.before), mcvd.load(options.after)
    with torch.no_grad():
        for old, new in zip(before.parameters(), after.parameters(), strict=True):
            new.add_(new - old, alpha=options.by)
    after.save_pretrained(options.out)


if __name__ == "__main__":
    main()
