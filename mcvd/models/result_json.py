"""The file of `mcvd evaluate`: its schema, and the one reader of it, which believes nothing that it did not check.

A result card may come from anybody. What compares cards, shows them on a page or puts them into the README of a model
reads them here; `mcvd.evaluation.result_card` makes values of what is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Le, Len, MaxLen
from typing_extensions import TypedDict  # that of typing cannot be checked before Python 3.12

from mcvd.diffusion.tasks import TASKS

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_BYTES = 64 << 20
MAX_TEXT = 100_000

Text = Annotated[str, MaxLen(MAX_TEXT)]
Count = Annotated[int, Ge(0), Le(1 << 40)]
Several = Annotated[int, Ge(1), Le(1 << 40)]
MAX_FIGURE = 1e100  # squares and sums of what is below have no overflow
Figure = Annotated[float, Ge(-MAX_FIGURE), Le(MAX_FIGURE)]
Interval = Annotated[list[Figure], Len(2, 2)]


class MetricJson(TypedDict):
    """What a reader of a metric has to know; see `mcvd.metrics.MetricInfo`."""

    title: Text
    digits: Annotated[int, Ge(0), Le(17)]
    higher_is_better: bool | None
    definition: Text


class DiversityJson(TypedDict):
    """See `mcvd.evaluation.scores.Diversity`."""

    between_samples: Figure
    to_truth: Figure


class CalibrationJson(TypedDict):
    """See `mcvd.evaluation.ensemble_scores.Calibration`."""

    rank_histogram: list[Figure]
    spread: list[Figure]
    error: list[Figure]


class EventScoreJson(TypedDict):
    """See `mcvd.evaluation.ensemble_scores.EventScore`."""

    brier: Figure
    csi: Figure | None
    pod: Figure | None
    far: Figure | None
    csi_per_frame: list[Figure | None]


class EventJson(TypedDict):
    """See `mcvd.evaluation.ensemble_scores.Event`."""

    threshold: Figure
    base_rate: Figure
    said: list[Figure]
    came: list[Figure | None]
    rows: dict[Text, EventScoreJson]


class EnsembleJson(TypedDict):
    """See `mcvd.evaluation.ensemble_scores.EnsembleScores`; ``rows`` as in `ScoresJson`."""

    unit: Text
    metrics: dict[Text, MetricJson]
    rows: dict[Text, dict[str, Any]]
    calibration: CalibrationJson | None
    events: list[EventJson]


class ScoresJson(TypedDict):
    """See `mcvd.evaluation.scores.Scores`; ``rows`` hold four keys for each metric, such as ``psnr_interval``."""

    task: Text
    sentence: NotRequired[Text]
    num_clips: Several
    num_past: Count
    num_frames: Several
    num_future: Count
    size: Annotated[list[Several], Len(2, 2)]
    num_samples: Several
    sampler: Text
    num_calls: Count
    guidance: Figure
    sampling: dict[str, Any]
    seed: int
    metrics: dict[Text, MetricJson]
    rows: dict[Text, dict[str, Any]]
    diversity: NotRequired[DiversityJson]
    ensemble: NotRequired[EnsembleJson]


class DistanceJson(TypedDict):
    """See `mcvd.evaluation.result_card.Distance`."""

    name: Text
    value: Figure | None
    reason: NotRequired[Text | None]
    weights: NotRequired[Text]
    weights_digest: NotRequired[Text]
    random_seed: NotRequired[int]
    preprocessing: NotRequired[Literal["mcvd", "stylegan-v"]]
    interval_95: NotRequired[Interval]
    mean_of_single_samples: NotRequired[Figure]
    of_single_samples: NotRequired[list[Figure]]
    kernel_distance: NotRequired[Figure]
    num_real: NotRequired[Count]
    num_fake: NotRequired[Count]
    cautions: NotRequired[list[Text]]


class LikelihoodJson(TypedDict):
    """See `mcvd.evaluation.result_card.Likelihood`."""

    bits_per_dimension: Figure
    interval_95: Interval | None
    per_clip: list[Figure]
    num_frames: Several
    num_calls: Several
    seed: int


class ResultJson(TypedDict):
    """See `mcvd.evaluation.result_card.ResultCard`. What is not required here, a comparison requires."""

    scores: ScoresJson
    protocol: dict[Text, Any] | None
    data: Text
    command: Text
    distances: list[DistanceJson]
    model: NotRequired[Text]
    frame_rate_hz: NotRequired[Figure | None]
    device: NotRequired[Text]
    missing: NotRequired[dict[Text, Text]]
    model_digest: NotRequired[Text]
    data_digest: NotRequired[Text]
    versions: NotRequired[dict[Text, Text]]
    likelihood: NotRequired[LikelihoodJson]


class RowJson(TypedDict):
    """What every row has beside its metrics."""

    title: Text
    ranked: bool


class _ScoreJson(TypedDict):
    mean: Figure
    interval: Interval | None
    per_clip: list[Figure]
    per_frame: list[Figure]


_OF_SCORES = (MetricJson, DiversityJson, CalibrationJson, EventScoreJson, EventJson, EnsembleJson, ScoresJson)
for _each in (*_OF_SCORES, DistanceJson, LikelihoodJson, ResultJson, RowJson, _ScoreJson):
    # Of pydantic: no other keys, no text for a number, neither NaN nor infinity.
    _each.__pydantic_config__ = {"extra": "forbid", "strict": True, "allow_inf_nan": False}  # type: ignore[union-attr]


def read_result(path: str | Path) -> ResultJson:
    """The result card of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds none; says where it is wrong.
    """
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES} bytes: it is no result card")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:  # also of text that is no UTF-8, and of numbers without end
        raise ValueError(f"{path} is not JSON: {error}") from error
    try:
        return checked_result(found)
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from error


def checked_result(found: Any) -> ResultJson:
    """What JSON holds, if it is a result card.

    Raises:
        ValueError: it is not; says where it is wrong.
    """
    card: ResultJson = _checked(ResultJson, found, "")
    scores = card["scores"]
    if scores["task"] not in TASKS:
        raise _no_card(f"scores.task is {scores['task']!r}, expected {', '.join(TASKS)}")
    if card["protocol"] is not None and not isinstance(card["protocol"].get("name"), str):
        raise _no_card("protocol.name must be a text")
    for name, row in scores["rows"].items():
        _check_row(row, f"scores.rows.{name}", scores["metrics"], scores)
    if "ensemble" in scores:
        _check_ensemble(scores["ensemble"], scores)
    if "likelihood" in card and len(card["likelihood"]["per_clip"]) != scores["num_clips"]:
        raise _no_card(f"likelihood.per_clip must have {scores['num_clips']} numbers")
    return card


def _check_ensemble(ensemble: EnsembleJson, scores: ScoresJson) -> None:
    where, places = "scores.ensemble", scores["num_samples"] + 1
    for name in ("truth", "samples"):
        if name not in ensemble["rows"]:
            raise _no_card(f"{where}.rows lacks {name}")
    for name, row in ensemble["rows"].items():
        _check_row(row, f"{where}.rows.{name}", ensemble["metrics"], scores)
    lengths: list[tuple[str, Sequence[object], int]] = []
    if (calibration := ensemble["calibration"]) is not None:
        lengths.append(("calibration.rank_histogram", calibration["rank_histogram"], places))
        lengths.append(("calibration.spread", calibration["spread"], scores["num_frames"]))
        lengths.append(("calibration.error", calibration["error"], scores["num_frames"]))
    for name in ("motion", "sharpness"):
        if name not in ensemble["metrics"]:
            raise _no_card(f"{where}.metrics lacks {name}")
    for number, event in enumerate(ensemble["events"]):
        if "samples" not in event["rows"]:
            raise _no_card(f"{where}.events.{number}.rows lacks samples")
        lengths += [(f"events.{number}.said", event["said"], places), (f"events.{number}.came", event["came"], places)]
        lengths += [
            (f"events.{number}.rows.{name}.csi_per_frame", row["csi_per_frame"], scores["num_frames"])
            for name, row in event["rows"].items()
        ]
    for part, values, length in lengths:
        if len(values) != length:
            raise _no_card(f"{where}.{part} has {len(values)} numbers, expected {length}")


def _check_row(row: Mapping[str, Any], where: str, metrics: Iterable[str], scores: ScoresJson) -> None:
    keys = {f"{metric}{end}" for metric in metrics for end in ("", "_interval", "_per_clip", "_per_frame")}
    _checked(RowJson, {key: value for key, value in row.items() if key not in keys}, where)
    for metric in metrics:
        parts = {"mean": metric} | {end: f"{metric}_{end}" for end in ("interval", "per_clip", "per_frame")}
        score = _checked(_ScoreJson, {part: row[key] for part, key in parts.items() if key in row}, f"{where}.{metric}")
        lengths = {"per_clip": scores["num_clips"], "per_frame": scores["num_frames"]}
        for end, length in lengths.items():
            if len(score[end]) != length:
                raise _no_card(f"{where}.{metric}_{end} has {len(score[end])} numbers, expected {length}")


def _checked(schema: type, found: Any, where: str) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(schema).validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in (*([where] if where else []), *first["loc"]))
        raise _no_card(f"{place or 'all of it'}: {first['msg']}") from None


@lru_cache(maxsize=16)
def _adapter(schema: type) -> TypeAdapter:
    from pydantic import TypeAdapter

    return TypeAdapter(schema)


def _no_card(reason: str) -> ValueError:
    return ValueError(f"no result of `mcvd evaluate`: {reason[:500]}; write one with mcvd evaluate --out")
