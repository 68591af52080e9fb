"""A result card like those that `mcvd evaluate` writes."""

from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.result_card import ResultCard
from reference.oracle import CLIPS, Oracle

CARD = ResultCard(
    model="theirs",
    data="videos",
    frame_rate_hz=None,
    device="cpu",
    protocol={"name": "p", "seed": 0},
    scores=evaluate(Oracle((30, 0)), CLIPS, num_samples=2, seed=1),
    distances=(),
    missing={},
    model_digest="0",
    data_digest="1",
    versions={},
    command="mcvd evaluate",
)
