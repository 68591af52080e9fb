"""What commands are told of a classifier that guides them."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from mcvd.apps.cli.options import number

if TYPE_CHECKING:
    from mcvd.diffusion.options import SamplingOptions
    from mcvd.models.classifier import LabelClassifier
    from mcvd.models.video_model import VideoModel


def add_classifier(command: ArgumentParser) -> None:
    """``--classifier``, ``--label`` and ``--guide-weight``."""
    text = "guide towards --label by this classifier, a folder that mcvd fit-classifier has written"
    command.add_argument("--classifier", metavar="FOLDER", help=text)
    command.add_argument("--label", metavar="WORD", help="the label that --classifier should see")
    text = "how strongly: 1 (default) is the classifier's own probability, more follows it more closely"
    command.add_argument("--guide-weight", type=number, metavar="W", help=text)


def load_for_model(folder: str, model: VideoModel) -> LabelClassifier:
    """The classifier of a folder, on the model's device.

    Raises:
        ValueError: it is no classifier, or is for other frames than the model's.
    """
    from mcvd.apps.cli.setup import log
    from mcvd.models.classifier import load_classifier

    try:
        classifier = load_classifier(folder).to(model.device)
        classifier.check_guides(model)
    except ValueError as error:
        raise ValueError(f"--classifier {folder}: {error}") from error
    if classifier.size != model.size:
        log("{} was trained on frames of {}x{}, here they are {}x{}".format(folder, *classifier.size, *model.size))
    return classifier


@dataclass(frozen=True)
class ClassifierChoice:
    """Which classifier guides towards what, how strongly; None is none.

    Raises:
        ValueError: one of the options misses another.
        FileNotFoundError: there is no such folder.
    """

    folder: str | None = None
    label: str | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        from mcvd.apps.cli.checks import check_inputs

        if self.folder is None and (self.label is not None or self.weight is not None):
            given = "--guide-weight" if self.label is None else "--label"
            raise ValueError(f"{given} goes with --classifier FOLDER (a label that the model is told: --signal)")
        if self.folder is not None and self.label is None:
            raise ValueError(f"--classifier {self.folder}: say what it should see, --label WORD")
        check_inputs(classifier=self.folder)

    @classmethod
    def taken_from(cls, asked: dict[str, Any]) -> Self:
        """Take the options of `add_classifier` out of those that were given."""
        return cls(*(asked.pop(name, None) for name in ("classifier", "label", "guide_weight")))

    def steer(self, options: SamplingOptions, model: VideoModel) -> SamplingOptions:
        """The options with this guide.

        Raises:
            ValueError: it is no classifier, knows no such label, or is for other frames than the model's.
        """
        if self.folder is None or self.label is None:
            return options
        classifier = load_for_model(self.folder, model)
        try:
            guide = classifier.wish(self.label)
        except ValueError as error:
            raise ValueError(f"--classifier {self.folder}: {error}") from error
        return replace(options, guide=guide, guide_weight=1.0 if self.weight is None else self.weight)
