"""Samples of a model scored against the ground truth; the function is `mcvd.evaluation.evaluate.evaluate`."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.evaluation.batch import Accumulator, SampledBatch
    from mcvd.evaluation.clips import ClipBatches
    from mcvd.evaluation.distances import SampleDistance
    from mcvd.evaluation.folders import compare_folders
    from mcvd.evaluation.likelihood import TrueLikelihood
    from mcvd.evaluation.protocols import Protocol, find_protocol
    from mcvd.evaluation.result_card import ResultCard, compare_cards, read_card
    from mcvd.evaluation.scores import Scores

_EXPORTS = {
    "batch": ("Accumulator", "SampledBatch"),
    "clips": ("ClipBatches",),
    "distances": ("SampleDistance",),
    "folders": ("compare_folders",),
    "likelihood": ("TrueLikelihood",),
    "protocols": ("Protocol", "find_protocol"),
    "result_card": ("ResultCard", "compare_cards", "read_card"),
    "scores": ("Scores",),
}

__getattr__, __dir__ = lazy_exports(
    __name__, {name: f"mcvd.evaluation.{module}" for module, names in _EXPORTS.items() for name in names}
)
