"""The pictures of docs/settings.md: one street under different settings of the sampler.

python tools/figures/settings_pictures.py --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.video.contact_sheet import contact_sheet

STREET, FIRST, NUM_FRAMES = 5, 10, 10
PICTURES: dict[str, dict[str, dict[str, Any]]] = {
    "samples": {f"seed {seed}": {"seed": seed} for seed in range(4)},
    "steps": {f"{steps} calls": {"steps": steps} for steps in (1, 2, 5, 10, 20)},
    "guidance": {f"guidance {weight:g}": {"guidance": weight} for weight in (0.5, 1, 2, 4)},
}
LONG: dict[str, dict[str, Any]] = {
    "as it is": {},
    "context noise 0.1": {"context_noise": 0.1},
    "overlap 1": {"overlap": 1},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    model = mcvd.load()
    num_past = model.block.past
    street = DrivingScenes(STREET + 1, num_frames=80, seed=9).read(
        STREET, range(FIRST, FIRST + num_past + 60), model.size
    )
    past = street[:num_past]
    for name, settings in PICTURES.items():
        rows = {"truth": street[: num_past + NUM_FRAMES]}
        for label, how in settings.items():
            rows[label] = torch.cat([past, model.predict(past, NUM_FRAMES, progress=False, **how)[0]])
        contact_sheet(rows, context=range(num_past), min_height=64).save(options.out / f"settings-{name}.png")
    shown = [0, *range(num_past, num_past + 60, 6)]
    rows = {"truth": street[shown]}
    for label, how in LONG.items():
        rows[label] = torch.cat([past, model.predict(past, 60, progress=False, **how)[0]])[shown]
    contact_sheet(rows, context=[0], min_height=64).save(options.out / "settings-long.png")


if __name__ == "__main__":
    main()
