"""The studio without its page: one model for everybody, what its controls do, and who has asked for what."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from mcvd.apps.cli.output import Form
from mcvd.apps.studio import film_strip
from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.job import GenerationRequest, PartialResult, sample, upsample
from mcvd.apps.studio.result_view import ResultView
from mcvd.apps.studio.selection import Selection, first_marked, selection_of, with_keyframes
from mcvd.apps.studio.storage import Storage, StorageFullError
from mcvd.apps.studio.tasks import ENLARGE, UpsamplingTask, first_stretch
from mcvd.apps.studio.upsampled_view import UpsampledView
from mcvd.apps.upsampled_page import Comparison
from mcvd.diffusion.tasks import Task
from mcvd.models.classifier import LabelClassifier
from mcvd.models.codecs import Scale
from mcvd.models.look import Look
from mcvd.models.video_model import VideoModel
from mcvd.runtime.columns import width_of
from mcvd.video.page import Page
from mcvd.video.timing import DEFAULT_FPS

QUOTA_MEGABYTES = 2000  # of all uploads and results together
LIFETIME_SECONDS = 3600  # of a file

HINTS = {
    "upsample": "Drag over the frames to be given (blue): new ones come between each two.",
    "enlarge": "Drag over the frames to be made larger (blue).",
    "predict": "Drag over the frames to be given (blue); what follows is generated (orange).",
    "backward": "Drag over the frames to be given (blue); what came before is generated (orange).",
    "interpolate": "Drag over the gap to be filled (orange); the frames beside it are given (blue).",
    "generate": "Nothing is given: the model invents.",
}


class Cancelled(Exception):
    """Nobody waits for the result any more."""


class JobUpdate(NamedTuple):
    """What a visitor sees of a job.

    Args:
        status: a sentence.
        result: HTML.
        files: to download, as `ResultView.write_files` returns them; None while the job goes on.
    """

    status: str
    result: str
    files: dict[str, dict[str, Path]] | None = None


class _View(Protocol):
    """How a result is shown: a `ResultView` or an `UpsampledView`."""

    def strip(self) -> str: ...

    def page(self, title: str, intro: str = "") -> Page: ...

    def write_files(self, folder: Path, title: str, intro: str) -> dict[str, dict[str, Path]]: ...


class _Work(NamedTuple):
    """How many frames a job makes, these as they come, and how they are shown."""

    length: int
    pieces: Iterator[PartialResult]
    view: Callable[[PartialResult], _View]


class Studio:
    """One model for everybody who opens the page.

    Args:
        model: on its device.
        name: of the model, to be shown.
        limits: for each visitor.
        storage: for the files of all of them; None is one of `QUOTA_MEGABYTES` and `LIFETIME_SECONDS`.
        classifier: by which visitors can guide the model towards a label, on its device; None is none.
    """

    def __init__(
        self,
        model: VideoModel,
        name: str,
        limits: Limits = Limits(),
        storage: Storage | None = None,
        classifier: LabelClassifier | None = None,
    ):
        self.model, self.name, self.limits, self.classifier = model, name, limits, classifier
        self.storage = storage or Storage(QUOTA_MEGABYTES * 1_000_000, LIFETIME_SECONDS)
        self._stops: dict[str, threading.Event] = {}  # by visitor
        self._folders: dict[str, Path] = {}  # by visitor; a visitor's name, which the browser tells, is never a path

    @property
    def has_values(self) -> bool:
        """Whether the model's videos are values, shown in colours."""
        return self.look().legend is not None

    @property
    def channel_names(self) -> list[str]:
        """Of the model's videos."""
        codec = self.model.codec
        if isinstance(codec, Scale) and codec.names:
            return [*codec.names]
        return [f"channel {number}" for number in range(self.model.channels)]

    @property
    def first_signals(self) -> dict[str, float | str]:
        """What the model is told unless a visitor says something else: the mean, and the first of labels.

        Vectors cannot be typed: a model that is told some is told nothing here.
        """
        signals = self.model.signals
        if signals is None or any(width_of(name) > 1 for name in signals.names):
            return {}
        first: dict[str, float | str] = {key: labels[0] for key, labels in signals.labels.items()}
        for place, name in enumerate(signals.names):
            if "=" not in name:
                first[name] = signals.mean[place] if signals.mean else 0.0
        return first

    @property
    def can_hide_signals(self) -> bool:
        """Whether the model can be told something here, and knows videos of which it is told nothing."""
        return bool(self.first_signals) and self.model.masking.p_signals > 0

    def look(self, shown: Collection[int] = ()) -> Look:
        """How videos are shown: channels of values to look at, one or three; others than that are as none.

        Raises:
            ValueError: there are no such channels.
        """
        return Look.of(self.model, tuple(shown) if len(shown) in (1, 3) else ())

    def first_marked(self, clip: Clip, task: Task | UpsamplingTask) -> range:
        """What is marked when a video or a task is new."""
        num_frames = len(clip.frames)
        if isinstance(task, UpsamplingTask):
            return first_stretch(num_frames)
        return first_marked(task, self.model.block, num_frames)

    def describe_selection(
        self,
        clip: Clip,
        task: Task | UpsamplingTask,
        length: int,
        stretch: range,
        keyframes: Collection[int] = (),
        factor: int = 2,
    ) -> tuple[str, str]:
        """What a marked stretch means: kinds of the frames (see `film_strip.kinds`), and a sentence."""
        num_frames = len(clip.frames)
        sentence = f"{clip.note} {HINTS[task.name]}"
        try:
            if isinstance(task, UpsamplingTask):
                given = task.marked(stretch, num_frames)
                sentence += f" {self._result_of(clip, task, given, factor)}"
                return film_strip.kinds(num_frames, given, range(0)), sentence
            selection = self._selection(clip, task, stretch, length, keyframes)
        except ValueError as error:
            words = str(error)
            return "", sentence if clip.note else f"{words[0].upper()}{words[1:]}."
        if not selection.context:
            return film_strip.kinds(num_frames, selection.context, range(0)), sentence
        known = len(selection.target(num_frames))
        sentence += f" {len(selection.generated)} frames to generate, the video has {known} of them."
        if selection.keyframes:
            sentence += f" Keyframes: {', '.join(map(str, selection.keyframes))}."
        return film_strip.kinds(num_frames, selection.given, selection.generated), sentence

    def _result_of(self, clip: Clip, task: UpsamplingTask, given: range, factor: int) -> str:
        """What will come of the given frames, in a sentence."""
        if task is ENLARGE:
            (height, width), low = self.model.size, self.model.low_size or self.model.size
            return f"{len(given)} frames of {low[0]}x{low[1]} pixels become {height}x{width}."
        rate = f", {clip.rate_hz:g} Hz become {factor * clip.rate_hz:g} Hz" if clip.rate_hz else ""
        return f"{len(given)} frames become {(len(given) - 1) * factor + 1}{rate}."

    def begin(self, visitor: str) -> None:
        """A visitor has asked for videos and joins the queue."""
        self._stops[visitor] = threading.Event()

    def generate(
        self,
        visitor: str,
        clip: Clip,
        stretch: range,
        length: int,
        request: GenerationRequest,
        on_progress: Callable[[float], None],
        keyframes: Collection[int] = (),
        shown: Collection[int] = (),
    ) -> Iterator[JobUpdate]:
        """Generate videos for a visitor, to be looked at block by block.

        Args:
            visitor: who has called `begin`.
            clip: the video.
            stretch: marked on its film strip.
            length: frames to generate.
            request: how.
            on_progress: called often with the part that is done, 0 to 1.
            keyframes: numbers of frames of the video that are given too, where they would be generated.
            shown: as of `look`.

        Raises:
            ValueError: what is marked or asked for cannot be done.
        """
        stop = self._stops.setdefault(visitor, threading.Event())

        def progress_unless_stopped(part: float) -> None:
            if stop.is_set():
                raise Cancelled
            on_progress(part)

        work = self._work(clip, stretch, length, request, progress_unless_stopped, keyframes, self.look(shown))
        self.storage.check_room()

        result: PartialResult | None = None
        try:
            for result in work.pieces:
                if result.num_done < work.length:
                    yield JobUpdate(f"{result.num_done} of {work.length} frames", work.view(result).strip())
        except Cancelled:
            if result is None:
                yield JobUpdate("Cancelled before the first frames were generated.", "")
            else:
                yield JobUpdate(f"Cancelled after {result.num_done} frames.", work.view(result).strip())
            return
        assert result is not None
        view = work.view(result)
        how = f"{request.sampler.label} with {request.sampler.num_calls} network calls for each block"
        intro = f"{request.task.title.capitalize()}: {work.length} frames by {self.name}, sampled by {how}. "
        intro += f"Seed {request.seed} makes the same again."
        files = view.write_files(self._emptied_folder(visitor), clip.name or "Generated from nothing", intro)
        try:
            self.storage.check_room(0)
        except StorageFullError:
            self._delete_results(visitor)
            raise
        yield JobUpdate(f"Done: {work.length} frames.", view.page("").fragment(with_script=False), files)

    def cancel(self, visitor: str) -> None:
        """The visitor's job ends before its next call of the network, or as soon as it would begin."""
        if visitor in self._stops:
            self._stops[visitor].set()

    def leave(self, visitor: str) -> None:
        """The visitor has closed the page: nothing more is generated for them, their files are deleted."""
        self.cancel(visitor)
        self._stops.pop(visitor, None)
        self._delete_results(visitor)

    def close(self) -> None:
        """Cancel all jobs and delete all files."""
        for visitor in list(self._stops):
            self.cancel(visitor)
        self.storage.close()

    def _work(
        self,
        clip: Clip,
        stretch: range,
        length: int,
        request: GenerationRequest,
        on_progress: Callable[[float], None],
        keyframes: Collection[int],
        look: Look,
    ) -> _Work:
        """What is to be done for a request; refuses what cannot be."""
        model, limits = self.model, self.limits
        if not isinstance(request.task, UpsamplingTask):
            selection = self._selection(clip, request.task, stretch, length, keyframes)
            form = Form.of(look, None, model.frame_rate_hz, clip.file_name)
            pieces = sample(model, clip, selection, request, limits, on_progress)
            return _Work(
                len(selection.generated),
                pieces,
                lambda result: ResultView(clip, selection, result.frames, form, result.is_done),
            )
        marked = request.task.marked(stretch, len(clip.frames))
        given, rate = clip.frames[marked.start : marked.stop], clip.rate_hz or DEFAULT_FPS
        pieces = upsample(model, given, clip.rate_hz, request, limits, on_progress)
        if request.task is ENLARGE:
            comparison = Comparison.larger_frames(given, model.size, look)
        else:
            comparison = Comparison.more_frames(look.codec.known_values(given), request.factor)
            rate *= request.factor
        form = Form.of(look, None, rate, clip.file_name)
        return _Work(
            len(comparison.given),
            pieces,
            lambda result: UpsampledView(comparison, result.frames, form, result.is_done),
        )

    def _selection(self, clip: Clip, task: Task, stretch: range, length: int, keyframes: Collection[int]) -> Selection:
        found = selection_of(task, self.model.block, stretch, length, len(clip.frames))
        return with_keyframes(found, keyframes, len(clip.frames))

    def _emptied_folder(self, visitor: str) -> Path:
        self._delete_results(visitor)
        self._folders[visitor] = self.storage.new_folder()
        return self._folders[visitor]

    def _delete_results(self, visitor: str) -> None:
        if visitor in self._folders:
            shutil.rmtree(self._folders.pop(visitor), ignore_errors=True)
