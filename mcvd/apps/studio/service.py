"""The studio without its page: one model for everybody, what its controls do, and who has asked for what."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mcvd.apps.studio import film_strip
from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.job import GenerationRequest, PartialResult, make
from mcvd.apps.studio.result_view import Showcase
from mcvd.apps.studio.selection import Task, selection_of
from mcvd.apps.studio.watched import Cancelled
from mcvd.models.mcvd import MCVD

HINTS = {
    "predict": "Drag over the frames to be given (blue); what follows is made (orange).",
    "backward": "Drag over the frames to be given (blue); what came before is made (orange).",
    "interpolate": "Drag over the gap that is to be made anew (orange); the frames beside it are given (blue).",
    "generate": "Nothing is given: the model invents.",
}


class JobUpdate(NamedTuple):
    """What a visitor sees of a job.

    Args:
        status: a sentence.
        result: HTML.
        files: to download, as `Showcase.write_files` returns them; None while the job goes on.
    """

    status: str
    result: str
    files: dict[str, dict[str, Path]] | None = None


class Studio:
    """One model for everybody who opens the page.

    Args:
        model: on its device.
        name: of the model, to be shown.
        limits: for each visitor.
    """

    def __init__(self, model: MCVD, name: str, limits: Limits = Limits()):
        self.model, self.name, self.limits = model, name, limits
        self._fps = model.frame_rate_hz or 10.0
        self._home = tempfile.TemporaryDirectory(prefix="mcvd-studio-")
        self._stops: dict[str, threading.Event] = {}  # by visitor
        self._folders: dict[str, Path] = {}  # by visitor; a visitor's name, which the browser tells, is never a path

    def marked(self, clip: Clip, task: Task, length: int, stretch: range) -> tuple[str, str]:
        """What a marked stretch means: kinds of the frames (see `film_strip.kinds`), and a sentence."""
        try:
            marks = selection_of(task, self.model.block, stretch, length, len(clip.frames))
        except ValueError as error:
            return "", f"{clip.note} {HINTS[task]}" if clip.note else str(error)
        sentence = f"{clip.note} {HINTS[task]}"
        given = {*marks.past, *marks.future}
        if not given:
            return film_strip.kinds(len(clip.frames), given, range(0)), sentence
        sentence += f" {len(marks.made)} frames to make, the video has {len(marks.truth(len(clip.frames)))} of them."
        return film_strip.kinds(len(clip.frames), given, marks.made), sentence

    def begin(self, visitor: str) -> None:
        """A visitor has asked for videos and joins the queue."""
        self._stops[visitor] = threading.Event()

    def make(
        self,
        visitor: str,
        clip: Clip,
        stretch: range,
        length: int,
        wish: GenerationRequest,
        tell: Callable[[float], None],
    ) -> Iterator[JobUpdate]:
        """Make videos for a visitor, to be looked at block by block.

        Args:
            visitor: who has called `begin`.
            clip: the video.
            stretch: marked on its film strip.
            length: frames to make.
            wish: how.
            tell: called often with the part that is done, 0 to 1.

        Raises:
            ValueError: what is marked or wished cannot be done.
        """
        stop = self._stops.setdefault(visitor, threading.Event())

        def tell_unless_stopped(part: float) -> None:
            if stop.is_set():
                raise Cancelled
            tell(part)

        marks = selection_of(wish.task, self.model.block, stretch, length, len(clip.frames))
        made: PartialResult | None = None
        try:
            for made in make(self.model, clip, marks, wish, self.limits, tell_unless_stopped):
                done, wanted = int(made.is_made.sum()), len(made.is_made)
                if done < wanted:
                    yield JobUpdate(f"{done} of {wanted} frames", Showcase(clip, marks, made, self._fps).strip())
        except Cancelled:
            if made is None:
                yield JobUpdate("Cancelled before the first frames were made.", "")
            else:
                done = int(made.is_made.sum())
                yield JobUpdate(f"Cancelled after {done} frames.", Showcase(clip, marks, made, self._fps).strip())
            return
        showcase = Showcase(clip, marks, made, self._fps)  # type: ignore[arg-type]
        intro = f"{wish.task}: {len(marks.made)} frames made by {self.name} with {wish.sampler}, seed {wish.seed}."
        files = showcase.write_files(self._emptied_folder(visitor), clip.name or "Made from nothing", intro)
        yield JobUpdate(f"Done: {len(marks.made)} frames.", showcase.page("").fragment(), files)

    def cancel(self, visitor: str) -> None:
        """The visitor's job ends before its next call of the network, or as soon as it would begin."""
        if visitor in self._stops:
            self._stops[visitor].set()

    def leave(self, visitor: str) -> None:
        """The visitor has closed the page: nothing more is made for them, nothing kept."""
        self.cancel(visitor)
        self._stops.pop(visitor, None)
        if visitor in self._folders:
            shutil.rmtree(self._folders.pop(visitor), ignore_errors=True)

    def _emptied_folder(self, visitor: str) -> Path:
        if visitor in self._folders:
            shutil.rmtree(self._folders[visitor], ignore_errors=True)
        self._folders[visitor] = Path(tempfile.mkdtemp(dir=self._home.name))
        return self._folders[visitor]
