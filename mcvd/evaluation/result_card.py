"""ResultCard: scores together with everything that fixes them; and whether two cards can be compared."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcvd.evaluation.scores import Scores
from mcvd.metrics.preprocessing import Preprocessing
from mcvd.models.result_json import ResultJson, checked_result, read_result

# What computes and what reads videos and pictures.
_PACKAGES = ("mcvd", "torch", "torchmetrics", "numpy", "av", "pillow")


@dataclass(frozen=True)
class Distance:
    """A distance between true clips and samples, or why there is none.

    Args:
        name: "FVD", or that of another network's distance.
        value: None where there is a reason.
        reason: why there is no value.
        weights, weights_digest, random_seed: of the network: in words, SHA-256 of the file, or the seed of random ones.
        preprocessing: of frames, see `mcvd.metrics.preprocessing.prepare`.
        interval_95: see `mcvd.metrics.fvd.frechet_interval`.
        mean_of_single_samples, of_single_samples: the distance of the first sample of every clip, of the second, ...
        kernel_distance: KVD; None for a random network.
        num_real, num_fake: videos of each set.
        cautions: what a reader has to bear in mind.
    """

    name: str
    value: float | None = None
    reason: str | None = None
    weights: str | None = None
    weights_digest: str | None = None
    random_seed: int | None = None
    preprocessing: Preprocessing | None = None
    interval_95: tuple[float, float] | None = None
    mean_of_single_samples: float | None = None
    of_single_samples: tuple[float, ...] = ()
    kernel_distance: float | None = None
    num_real: int | None = None
    num_fake: int | None = None
    cautions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it, without what is not known."""
        if self.value is None:
            return {"name": self.name, "value": None, "reason": self.reason}
        return {name: value for name, value in vars(self).items() if value is not None}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Distance:
        """Of `to_json`."""
        found: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        return Distance(**found)


@dataclass(frozen=True)
class Likelihood:
    """How probable a model finds the true frames; see `mcvd.evaluation.likelihood.TrueLikelihood`.

    Args:
        bits_per_dimension: mean over clips; lower is better, and 8 is knowing nothing.
        interval_95: of the mean; None for a single clip.
        per_clip: of each.
        num_frames: of each clip, whose likelihood it is.
        num_calls: of the network, each with a backward pass.
        seed: of the noise within a grey level, and of the trace's estimate.
    """

    bits_per_dimension: float
    interval_95: tuple[float, float] | None
    per_clip: tuple[float, ...]
    num_frames: int
    num_calls: int
    seed: int

    def __str__(self) -> str:
        interval = f" (95% interval {self.interval_95[0]:.3f} to {self.interval_95[1]:.3f})" if self.interval_95 else ""
        return f"{self.bits_per_dimension:.3f} bits per dimension{interval}, {self.num_frames} frames of a clip"

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Likelihood:
        """Of what `vars` gives."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in found.items()
        }
        return Likelihood(**values)


@dataclass(frozen=True)
class ResultCard:
    """All that a score needs to be repeated.

    Args:
        model: as it was named.
        data: likewise.
        frame_rate_hz: at which videos were read; None takes every frame.
        device: where the model ran.
        protocol: all of it, by `Protocol.describe`; None for a choice of one's own.
        scores: of `mcvd.evaluation.evaluate.evaluate`.
        distances: between the true clips and the samples.
        missing: metrics of frames that there are not, each with the reason.
        model_digest: of the weights.
        data_digest: of the clips.
        versions: of Python and of the packages that compute.
        command: the command line that wrote it.
        likelihood: of the true frames, if it was asked for.
    """

    model: str
    data: str
    frame_rate_hz: float | None
    device: str
    protocol: Mapping[str, Any] | None
    scores: Scores
    distances: tuple[Distance, ...]
    missing: Mapping[str, str]
    model_digest: str
    data_digest: str
    versions: Mapping[str, str]
    command: str
    likelihood: Likelihood | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names, without what was not asked for."""
        found = vars(self) | {
            "scores": self.scores.to_json(),
            "distances": [distance.to_json() for distance in self.distances],
        }
        likelihood = found.pop("likelihood")
        return found if likelihood is None else found | {"likelihood": vars(likelihood)}

    @staticmethod
    def from_json(card: Mapping[str, Any]) -> ResultCard:
        """Of `to_json`.

        Raises:
            ValueError: it is no result card; says what is missing or wrong.
        """
        return _card(checked_result(card))


def package_versions() -> dict[str, str]:
    """The versions of Python and of the packages that compute."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def read_card(path: str | Path) -> ResultCard:
    """A result card of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds none.
    """
    return _card(read_result(path), f"{path} is ")


def _card(found: ResultJson, what: str = "") -> ResultCard:
    needed = (field.name for field in fields(ResultCard) if field.default is MISSING)
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(
            f"{what}no whole result card: it lacks {', '.join(missing)}; write one with mcvd evaluate --out"
        )
    values: dict[str, Any] = {
        **found,
        "scores": Scores.from_json(found["scores"]),
        "distances": tuple(Distance.from_json(row) for row in found["distances"]),
    }
    if "likelihood" in found:
        values["likelihood"] = Likelihood.from_json(found["likelihood"])
    return ResultCard(**values)


def compare_cards(first: str | Path, second: str | Path) -> str:
    """That two cards can be compared, and in what they differ: that is what is compared then.

    Raises:
        ValueError: they cannot be; names every setting that differs.
    """
    a, b = read_card(first), read_card(second)
    hindrances, compared = differences(a, b), free_settings(a, b)
    if hindrances:
        more = f". They also differ in what may differ: {_words(compared)}" if compared else ""
        told = f"{first} and {second} cannot be compared, they differ in {_words(hindrances)}{more}"
        raise ValueError(told + (_OF_SIZES if "size" in hindrances else ""))
    lines = [f"{first} and {second} can be compared"]
    lines += [f"what differs: {_words(compared)}" if compared else "no setting differs"]
    names = {str(first): _settings_of_metrics(a), str(second): _settings_of_metrics(b)}
    lines += [
        f"in {path} alone: {', '.join(alone)}"
        for path, others in zip(names, reversed(names.values()), strict=True)
        if (alone := [name for name in names[path] if name not in others])
    ]
    return "\n".join(lines)


_OF_SIZES = ". Only scores at one size can be compared: mcvd evaluate --size S scores a model at another than its own"
_DIGITS_SHOWN = 12  # of a digest

Differences = dict[str, tuple[Any, Any]]


def differences(a: ResultCard, b: ResultCard) -> Differences:
    """The settings that keep two cards from being compared: name -> (of a, of b); empty if they can be.

    Model, sampler, steps, guidance, seed and versions may differ (`free_settings`). The rest may not. Of a metric that
    only one of them has a value for, nothing is asked.
    """
    shared = sorted(_settings_of_metrics(a).keys() & _settings_of_metrics(b).keys())
    return _unequal(_conditions(a, shared), _conditions(b, shared))


def free_settings(a: ResultCard, b: ResultCard) -> Differences:
    """The settings in which two cards may differ, and do: name -> (of a, of b)."""
    return _unequal(_choices(a), _choices(b))


def _conditions(card: ResultCard, metrics: list[str]) -> dict[str, Any]:
    """What must be equal; of the metrics only these count."""
    names = ("task", "num_clips", "num_past", "num_frames", "num_future", "size", "num_samples")
    found = {f"protocol.{name}": value for name, value in (card.protocol or {"name": None}).items()}
    found |= {name: vars(card.scores)[name] for name in names} | {"data_digest": card.data_digest}
    of_metrics = _settings_of_metrics(card)
    return found | {f"{metric}.{name}": value for metric in metrics for name, value in of_metrics[metric].items()}


def _choices(card: ResultCard) -> dict[str, Any]:
    """What may differ."""
    found = {name: vars(card)[name] for name in ("model", "model_digest", "device")}
    found |= {name: vars(card.scores)[name] for name in ("sampler", "num_calls", "guidance", "sampling", "seed")}
    return found | {f"version of {name}": value for name, value in card.versions.items()}


def _settings_of_metrics(card: ResultCard) -> dict[str, dict[str, Any]]:
    """Of each metric that has a value, what the value depends on."""
    found: dict[str, dict[str, Any]] = {
        name: {"definition": info.definition} for name, info in card.scores.metrics.items()
    }
    if (ensemble := card.scores.ensemble) is not None:
        found |= {name: {"definition": info.definition} for name, info in ensemble.metrics.items()}
        found |= {f"events at {event.threshold:g}": {"unit": ensemble.unit} for event in ensemble.events}
    if card.likelihood is not None:
        found["bits per dimension"] = {name: vars(card.likelihood)[name] for name in ("num_frames", "num_calls")}
    settings = ("weights_digest", "random_seed", "preprocessing")
    with_value = (distance for distance in card.distances if distance.value is not None)
    return found | {distance.name: {name: vars(distance)[name] for name in settings} for distance in with_value}


def _unequal(a: dict[str, Any], b: dict[str, Any]) -> Differences:
    pairs = {name: (a.get(name), b.get(name)) for name in a | b}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _words(settings: Differences) -> str:
    return "; ".join(f"{name}: {_shown(name, a)} and {_shown(name, b)}" for name, (a, b) in settings.items())


def _shown(name: str, value: Any) -> str:
    return repr(value[:_DIGITS_SHOWN] if name.endswith("digest") and isinstance(value, str) else value)
