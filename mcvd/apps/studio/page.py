"""The studio's page, made with Gradio: which control asks `Studio` for what."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from starlette.middleware import Middleware

from mcvd.apps.cli.fields import FieldChoice
from mcvd.apps.studio import film_strip
from mcvd.apps.studio.clip import Clip, no_clip, read_clip, synthetic_clip
from mcvd.apps.studio.controls import CONTEXT, DEFAULT, KEYFRAMES, Controls, length_label, max_low_noise
from mcvd.apps.studio.examples import examples_for
from mcvd.apps.studio.guard import Guard, is_this_machine
from mcvd.apps.studio.job import GenerationRequest
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.take_home import ALL
from mcvd.apps.studio.tasks import (
    ENLARGE,
    STUDIO_TASKS,
    UPSAMPLE,
    UPSAMPLING,
    reading_for,
    sampled_as,
)
from mcvd.diffusion.denoiser import Dropped
from mcvd.diffusion.tasks import INTERPOLATE
from mcvd.samplers.select import sampler_by_name, takes_steps

Result = TypeVar("Result")

_CSS = Path(__file__).with_suffix(".css").read_text()
_QUEUE_LENGTH = 16
_SESSIONS = 32  # whose videos are remembered at once
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]  # none is fetched
_FIXED_FONTS = ["ui-monospace", "Menlo", "Consolas", "monospace"]


def build_page(studio: Studio) -> gr.Blocks:
    """The page; `serve` opens it to visitors. The model works for one of them at a time, the others queue."""
    answers = _Answers(studio)
    lifetime = studio.storage.lifetime_seconds
    studio.storage.lend_to_gradio()
    with gr.Blocks(title="mcvd studio", analytics_enabled=False) as page:
        clip = gr.State(no_clip(studio.model), time_to_live=lifetime)
        stretch, keyframes = gr.State((0, 0)), gr.State(())
        files = gr.State({}, time_to_live=lifetime)
        see = Controls.lay_out(studio, answers.examples)
        told = gr.State(studio.first_signals)
        for name, control in see.told.items():
            control.change(partial(answers.tell, name), [told, control], told, queue=False, show_progress="hidden")

        placing: dict[str, Any] = {
            "inputs": [clip, see.task, see.length, see.factor],
            "outputs": [see.strip, see.hint, stretch, keyframes, *see.of_tasks()],
        }
        reading: list[Any] = [see.task, see.variable, see.axes, see.sequence]
        gr.on(
            [see.upload.upload, see.upload.clear, *(box.submit for box in reading[1:])],
            answers.receive,
            [see.upload, see.shown, *reading],
            [clip, see.strip],
            concurrency_limit=1,
        ).then(answers.place, **placing)
        see.shown.change(answers.show_channels, [clip, see.shown], see.strip, show_progress="hidden")
        see.examples.pick(
            answers.use_example, see.shown, [clip, see.strip, see.upload, see.task], concurrency_limit=1
        ).then(answers.place, **placing)
        # Of a visitor alone: an example that chooses a task has placed its marks already.
        see.task.input(
            answers.read_for_task,
            [clip, see.upload, see.shown, *reading],
            [clip, see.strip],
            show_progress="hidden",
            trigger_mode="always_last",
        ).then(answers.place, **placing)
        see.strip.mark(
            answers.choose,
            [clip, see.task, see.length, see.factor, see.marking, stretch, keyframes],
            [stretch, keyframes, see.strip, see.hint],
            show_progress="hidden",
            trigger_mode="multiple",  # the others lose what is marked while an answer is awaited
        )
        gr.on(
            [see.length.change, see.factor.change],
            answers.mark,
            [clip, see.task, see.length, see.factor, stretch, keyframes],
            [see.strip, see.hint],
            show_progress="hidden",
            trigger_mode="always_last",
        )
        gr.on([see.sampler.change, see.task.change], answers.show_steps, [see.sampler, see.task], see.steps)

        buttons = [see.start, see.cancel]
        request: list[Any] = [see.task, see.length, see.num_samples, see.sampler, see.steps, see.guidance, see.seed]
        request += [see.loop, see.factor, see.low_noise, see.drops, see.tell, told, see.wish, see.weight, see.shown]
        savers = [see.mp4, see.gif, see.page, see.values]
        offer = answers.offer, [files, see.which], savers
        see.start.click(answers.begin, None, [*buttons, see.status, *savers], queue=False).then(
            answers.generate,
            [clip, stretch, keyframes, *request],
            [see.status, see.result, files],
            concurrency_limit=1,
            show_progress_on=see.status,
        ).then(answers.end, files, [*buttons, see.which]).then(*offer)
        see.cancel.click(answers.cancel, None, None, queue=False)
        see.which.change(*offer)
        page.unload(answers.leave)
    return page.queue(max_size=_QUEUE_LENGTH)


def serve(
    studio: Studio, host: str, port: int | None, password: str | None = None, names: Sequence[str] = ()
) -> tuple[gr.Blocks, str]:
    """Open the page to visitors, in threads of its own.

    Args:
        studio: whose page.
        host: address to listen on; 127.0.0.1 lets nobody in from outside of this machine.
        port: None takes the first free one from 7860.
        password: that visitors are asked for; needed for a host that lets others in.
        names: other names under which the page is reached, such as that of a server in front.

    Returns:
        The page, which can be waited for (``block_thread()``) and closed, and its address.

    Raises:
        OSError: the port is taken.
        ValueError: others could come in without a password.
    """
    if password is None and not is_this_machine(host):
        raise ValueError(f"who listens on {host} lets others in: a password is needed")
    known = {"localhost", "127.0.0.1", "::1", host, *names}
    if not is_this_machine(host):
        known |= {socket.gethostname(), socket.getfqdn()}
    max_bytes = studio.limits.megabytes * 1_000_000
    guard = Middleware(Guard, studio.storage, known, password, max_bytes)
    page = build_page(studio)
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        max_file_size=max_bytes,
        app_kwargs={"middleware": [guard]},
        state_session_capacity=_SESSIONS,
        share=False,
        quiet=True,
        ssr_mode=False,
        prevent_thread_lock=True,
        footer_links=[],
        theme=gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=_FONTS, font_mono=_FIXED_FONTS),
        css=_CSS,
    )
    return page, url


class _Answers:
    """What happens when a control is used, in Gradio's terms."""

    def __init__(self, studio: Studio):
        self._studio = studio
        self.examples = examples_for(studio.model)

    def receive(
        self, path: str | None, shown: Sequence[int], task: str, variable: str, axes: str, sequence: int | None
    ) -> tuple[Clip, Any]:
        model, limits = self._studio.model, self._studio.limits
        names = tuple(name.strip() for name in (variable or "").split(",") if name.strip())
        fields = _or_message(FieldChoice, names, (axes or "").strip().upper() or None, sequence)
        reading = reading_for(STUDIO_TASKS[task], model)
        clip = no_clip(model) if path is None else _or_message(read_clip, path, model, limits, fields, reading)
        return clip, gr.HTML(frames=_or_message(self._pictures, clip, shown), kinds="")

    def read_for_task(
        self, clip: Clip, path: str | None, shown: Sequence[int], task: str, *fields: Any
    ) -> tuple[Clip, Any]:
        """The same video anew where another task reads it differently."""
        reading = reading_for(STUDIO_TASKS[task], self._studio.model)
        if not len(clip.frames) or clip.reading == reading:
            return clip, gr.HTML()
        if clip.synthetic is None:
            return self.receive(path, shown, task, *fields)
        clip = synthetic_clip(self._studio.model, clip.synthetic, reading=reading)
        return clip, gr.HTML(frames=self._pictures(clip, shown), kinds="")

    def use_example(self, shown: Sequence[int], event: gr.EventData) -> tuple[Clip, Any, None, str]:
        example = self.examples[int(event.number)]
        clip = example.clip(self._studio.model)
        return clip, gr.HTML(frames=self._pictures(clip, shown), kinds=""), None, example.task

    def show_channels(self, clip: Clip, shown: Sequence[int]) -> Any:
        """The film strip in other channels; what is generated next has them too."""
        return gr.HTML(frames=self._pictures(clip, shown))

    def _pictures(self, clip: Clip, shown: Sequence[int]) -> list[str]:
        return film_strip.pictures(self._studio.look(shown).pictures(clip.frames))

    def place(self, clip: Clip, task: str, length: int, factor: int) -> tuple[Any, ...]:
        first = self._studio.first_marked(clip, STUDIO_TASKS[task])
        stretch = (first.start, first.stop)
        return *self.mark(clip, task, length, factor, stretch), stretch, (), *self._controls_of(task)

    def _controls_of(self, task: str) -> tuple[Any, ...]:
        """The length, factor, noise, loop and marking as the task has them."""
        is_free = task not in UPSAMPLING
        is_single = is_free and self._studio.model.takes_single_frames
        label = "Frames to generate: those of the gap" if task == INTERPOLATE.name else length_label(self._studio)
        return (
            gr.Number(label=label, interactive=task != INTERPOLATE.name, visible=is_free),
            gr.Slider(visible=task == UPSAMPLE.name),
            gr.Slider(visible=task == ENLARGE.name and max_low_noise(self._studio) > 0),
            gr.Checkbox(visible=is_single),
            gr.Radio(interactive=True) if is_single else gr.Radio(value=CONTEXT, interactive=False),
        )

    def choose(
        self,
        clip: Clip,
        task: str,
        length: int,
        factor: int,
        marking: str,
        stretch: tuple[int, int],
        keyframes: tuple[int, ...],
        event: gr.EventData,
    ) -> tuple[Any, ...]:
        start, stop = max(0, int(event.start)), min(len(clip.frames), int(event.stop))
        if marking == KEYFRAMES:  # what is marked twice is marked no more
            keyframes = tuple({*keyframes} ^ {*range(start, stop)})
        else:
            stretch, keyframes = (start, stop), ()
        return stretch, keyframes, *self.mark(clip, task, length, factor, stretch, keyframes)

    def mark(
        self,
        clip: Clip,
        task: str,
        length: int,
        factor: int,
        stretch: tuple[int, int],
        keyframes: tuple[int, ...] = (),
    ) -> tuple[Any, str]:
        kinds, sentence = self._studio.describe_selection(
            clip, STUDIO_TASKS[task], length or 1, range(*stretch), keyframes, factor
        )
        return gr.HTML(kinds=kinds), sentence

    def show_steps(self, sampler: str, task: str) -> Any:
        """The number of steps, where it can be chosen; for the default that of the model and the task."""
        if sampler != DEFAULT:
            return gr.Number(visible=takes_steps(sampler))
        own = getattr(self._studio.model.sampler_for(sampled_as(STUDIO_TASKS[task])), "num_steps", None)
        return gr.Number(visible=False) if own is None else gr.Number(own, visible=True)

    def tell(self, name: str, told: dict[str, float | str], value: float | str) -> dict[str, float | str]:
        """What the model is told, with one number or label changed."""
        return told | {name: value}

    def begin(self, browser: gr.Request) -> tuple[Any, ...]:
        self._studio.begin(_visitor(browser))
        return gr.Button(interactive=False), gr.Button(interactive=True), "", *self.offer({}, ALL)

    def generate(
        self,
        clip: Clip,
        stretch: tuple[int, int],
        keyframes: tuple[int, ...],
        task: str,
        length: int,
        num_samples: float,
        sampler: str,
        steps: int,
        guidance: float,
        seed: int,
        loop: bool,
        factor: int,
        low_noise: float,
        drops: Dropped | None,
        tell: bool,
        told: dict[str, float | str],
        wish: str,
        weight: float,
        shown: Sequence[int],
        browser: gr.Request,
        progress: gr.Progress = gr.Progress(),
    ) -> Iterator[tuple[str, str, dict]]:
        if sampler == DEFAULT:
            model, asked = self._studio.model, sampled_as(STUDIO_TASKS[task])
            has_steps = hasattr(model.sampler_for(asked), "num_steps")
            method = _or_message(model.sampler_for, asked, steps if has_steps else None)
        else:
            method = _or_message(sampler_by_name, sampler, steps if takes_steps(sampler) else None)
        signals = told if tell and told and task not in UPSAMPLING else None
        drops = drops if signals else None
        classifier = self._studio.classifier
        guide = classifier.wish(wish) if classifier and wish else None
        request = GenerationRequest(
            STUDIO_TASKS[task],
            method,
            int(num_samples),
            guidance,
            seed or 0,
            loop,
            signals,
            guide,
            weight,
            guidance_drops=drops or "both",
            factor=int(factor),
            low_noise=low_noise,
        )

        def on_progress(part: float) -> None:
            progress(part, desc="generating frames")

        job = self._studio.generate(
            _visitor(browser), clip, range(*stretch), length or 0, request, on_progress, keyframes, shown
        )
        while (update := _or_message(next, job, None)) is not None:
            yield update.status, update.result, update.files or {}

    def end(self, files: dict) -> tuple[Any, Any, Any]:
        which = gr.Dropdown(list(files) or [ALL], value=ALL)
        return gr.Button(interactive=True), gr.Button(interactive=False), which

    def offer(self, files: dict, which: str) -> tuple[Any, ...]:
        """The buttons with their files: nobody can click one that has no file yet."""
        there = files.get(which, {})
        return tuple(
            gr.DownloadButton(value=str(there[ending]) if ending in there else None, interactive=ending in there)
            for ending in ("mp4", "gif", "html", "values")
        )

    def cancel(self, browser: gr.Request) -> None:
        self._studio.cancel(_visitor(browser))

    def leave(self, browser: gr.Request) -> None:
        self._studio.leave(_visitor(browser))


def _visitor(browser: gr.Request) -> str:
    """Gradio's name of a browser tab."""
    return browser.session_hash or ""


def _or_message(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call; what a visitor got wrong becomes a message on the page."""
    try:
        return function(*arguments)
    except (ValueError, OSError, ImportError) as error:
        raise gr.Error(str(error), print_exception=False) from None
