"""Every entry of a published config.yml: what is read, what says nothing of the network, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

READ = {
    "data": frozenset(
        [
            "image_size",
            "channels",
            "num_frames",
            "num_frames_cond",
            "num_frames_future",
            "prob_mask_cond",
            "prob_mask_future",
            "prob_mask_sync",
        ]
    ),
    "model": frozenset(
        [
            "arch",
            "version",
            "sigma_dist",
            "sigma_begin",
            "sigma_end",
            "num_classes",
            "ngf",
            "ch_mult",
            "num_res_blocks",
            "attn_resolutions",
            "n_head_channels",
            "dropout",
            "cond_emb",
            "spade",
            "spade_dim",
            "gamma",
            "noise_in_cond",
        ]
    ),
}
"""Entries that decide what the model is."""

EXPECTED: dict[str, dict[str, tuple[Any, str]]] = {
    "data": {
        "rescaled": (True, "mcvd's frames span [-1, 1], and this model was trained on another range"),
        "logit_transform": (False, "this model was trained on logits of the pixels"),
        "uniform_dequantization": (False, "its context frames carry noise that mcvd would not add"),
        "gaussian_dequantization": (False, "its context frames carry noise that mcvd would not add"),
    },
    "model": {
        "time_conditional": (True, "the network must know the noise level"),
        "output_all_frames": (False, "the network must make the current frames only"),
    },
}
"""Entries that must have one value, which is also that of a config without them, and why."""

SAYS_NOTHING: dict[str, dict[str, str]] = {
    "data": {
        "dataset": "where the training clips came from",
        "category": "of LSUN, where training pictures came from",
        "classes": "of ImageNet, where training pictures came from",
        "subset": "how much of the training data was used",
        "test_subset": "how much of the test data was used",
        "num_digits": "of generated training clips",
        "step_length": "of generated training clips",
        "random_flip": "augmentation of training clips",
        "color_jitter": "augmentation of training clips",
        "num_workers": "how clips were loaded",
    },
    "model": {
        "depth": "of networks of another family",
        "type": "of networks of another family",
        "conditional": "of networks of another family",
        "normalization": "of networks of another family; this one has group norm",
        "spec_norm": "of networks of another family",
        "nonlinearity": "the network has SiLU, whatever it says",
        "ema": "whether training averaged the weights; the checkpoint holds what there is",
        "ema_rate": "how training averaged the weights",
    },
}
"""Entries that the published networks of this family do not depend on, and what they are."""

SECTIONS = frozenset(["data", "model", "training", "sampling", "test", "fast_fid", "optim", "device"])
"""Of a config; those beside data and model say how it was trained, sampled and scored, and where."""


def check_keys(published: Mapping[str, Any]) -> None:
    """Check that nothing in a config.yml has a meaning that is not known here.

    Args:
        published: the parsed file.

    Raises:
        ValueError: an entry is unknown, or has a value that cannot be read; names it.
    """
    unknown = [str(name) for name in published if name not in SECTIONS]
    for section, expected in EXPECTED.items():
        entries = published.get(section)
        if not isinstance(entries, Mapping):
            raise ValueError(f"the configuration has no section {section}")
        for key, (wanted, reason) in expected.items():
            if (value := entries.get(key, wanted)) is not wanted:
                raise ValueError(f"{section}.{key} is {value!r}, expected {wanted}: {reason}")
        known = READ[section] | expected.keys() | SAYS_NOTHING[section].keys()
        unknown += [f"{section}.{key}" for key in entries if key not in known]
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)}: not an entry of the published code, so what it does to the model is not known; "
            "take it out if it does nothing"
        )
