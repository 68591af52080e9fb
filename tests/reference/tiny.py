"""A model small enough to do real work in a test, with weights that are not those of a new network."""

import torch

import mcvd

SIZE = (16, 16)


def tiny_config(
    past=2, current=3, future=2, channels=1, conditioning="Concat", p=0.5, past_embedding=False, net="UNet"
):
    init_args = {"width": 8, "multipliers": [1, 2], "num_blocks": 1, "attention_levels": [1], "head_channels": 8}
    if net == "UNet":
        init_args["past_embedding"] = past_embedding
    width = {"width": 8} if conditioning == "SPATIN" else {}
    init_args["conditioning"] = {"class_path": f"mcvd.nets.{conditioning}", "init_args": width}
    return {
        "block": {"past": past, "current": current, "future": future},
        "size": list(SIZE),
        "channels": channels,
        "masking": {"p_past": p, "p_future": p},
        "net": {"class_path": f"mcvd.nets.{net}", "init_args": init_args},
    }


def tiny_model(**options):
    torch.manual_seed(0)
    model = mcvd.build(tiny_config(**options))
    for parameter in model.parameters():  # the last layers of a new network say nothing
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def tiny_larger(past=1, size=SIZE, silent=False, channels=1, net="UNet"):
    """One that makes frames twice as large; a silent one adds nothing to their bilinear enlargement."""
    torch.manual_seed(1)
    config = tiny_config(past=past, current=2, future=0, channels=channels, net=net)
    config["net"]["init_args"]["conditioning"]["init_args"] = {"tell_low": True}
    config |= {"size": list(size), "super_resolution": {"factor": 2, "noise": 0.5}, "reference": "context"}
    model = mcvd.build(config | {"predicts": "x0", "masking": {"p_past": 0.5}})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    if silent:
        torch.nn.init.zeros_(model.denoiser.net.last.weight)
        torch.nn.init.zeros_(model.denoiser.net.last.bias)
    return model.eval()


def pixels(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
