"""``--init_from``: a training that begins with the weights of a trained model."""

from __future__ import annotations

from mcvd.diffusion.measuring import measured_parts
from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.models.files import read_model
from mcvd.models.mcvd import MCVD
from mcvd.runtime.numbers import NumbersError


def start_from(model: MCVD, source: str) -> str:
    """Copy the weights that fit from a trained model, and what was measured with them.

    What clips are measured by goes together: where a part of it does not fit, as for a block of another length, none is
    taken, and the training measures it anew. So it is with the scales of residuals to a base that moved on, where the
    base now stands still.

    Args:
        model: gets them, and the model's measured signals.
        source: an exported folder, a .ckpt file or a model of the Hub.

    Returns:
        Which were taken and which not, in words.

    Raises:
        ValueError: none fits.
        NumbersError: numbers of the source are whole where this model's are not.
    """
    stored, wanted = read_model(source), model.state_dict()
    weights = stored.weights()
    model.keep_signals_of(stored.config)
    fitting = {name: value for name, value in weights.items() if name in wanted and value.shape == wanted[name].shape}
    whole = [name for name, value in fitting.items() if wanted[name].is_floating_point() > value.is_floating_point()]
    if whole:
        raise NumbersError(f"--init_from {source}: {len(whole)} weights are not floating point, such as {whole[0]}")
    if not any(value.ndim > 1 for value in fitting.values()):  # a bias alone is no start
        raise ValueError(
            f"--init_from {source}: none of its {len(weights)} weights fits this model; is it of another width?"
        )
    anew = set()
    for part in (f"denoiser.{name}" for name in measured_parts(model.denoiser)):
        names, moves = {name for name in wanted if name.rpartition(".")[0] == part}, f"{part}.moving.num_clips"
        if names - fitting.keys() or moves in weights.keys() - wanted.keys():
            anew |= names & fitting.keys()
    fitting = {name: value for name, value in fitting.items() if name not in anew}
    model.load_state_dict(fitting, strict=False)
    shapes = [
        f"{name} {tuple(weights[name].shape)} there, {tuple(wanted[name].shape)} here"
        for name in weights.keys() & wanted.keys() - fitting.keys() - anew
    ]
    shapes += [f"{name} is measured anew" for name in anew]
    alone = [f"{name} only there" for name in weights.keys() - wanted.keys()]
    new = [f"{name} only here" for name in wanted.keys() - weights.keys()]
    left_out = sorted(shapes + alone + new)
    taken = f"started from {source}: {len(fitting)} of {len(wanted)} weights taken"
    if left_out:
        taken += f", {len(left_out)} left out: {'; '.join(left_out)}"
    if any((stored.config.get("samplers") or {}).values()) and model.samplers == TaskSamplers():
        taken += "; its samplers are left out: to keep them write model.samplers into the config"
    return taken
