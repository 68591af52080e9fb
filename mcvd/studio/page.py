"""The studio's page, made with Gradio: which control asks `Studio` for what."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from mcvd.data.readers import VIDEO_SUFFIXES
from mcvd.info import model_facts
from mcvd.module import DEFAULT_SAMPLER
from mcvd.samplers.named import named_sampler, sampler_names, takes_steps
from mcvd.studio import film_strip
from mcvd.studio.clip import Clip, invented_clip, no_clip, read_clip
from mcvd.studio.making import Wish
from mcvd.studio.marks import Task, first_marked
from mcvd.studio.service import Studio
from mcvd.studio.view import ALL

_TASKS: dict[str, Task] = {
    "predict what comes next": "predict",
    "look back": "backward",
    "fill a gap": "interpolate",
    "generate from nothing": "generate",
}
_CSS = """
.gradio-container { max-width: 1400px !important; }
footer { display: none !important; }
#status { min-height: 44px; }
"""
_QUEUE_LENGTH = 16
_KEPT_SECONDS = 3600  # after that, uploads and results of visitors are deleted
_SESSIONS = 32
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_FIXED_FONTS = ["ui-monospace", "Menlo", "Consolas", "monospace"]


def build_page(studio: Studio) -> gr.Blocks:
    """The page; `serve` opens it to visitors."""
    model, limits = studio.model, studio.limits
    facts = model_facts(model)
    tasks = [(title, task) for title, task in _TASKS.items() if facts["tasks"][task] is None]
    first_task = tasks[0][1]
    default_sampler = type(DEFAULT_SAMPLER).__name__

    with gr.Blocks(
        title="mcvd studio", analytics_enabled=False, delete_cache=(_KEPT_SECONDS // 2, _KEPT_SECONDS)
    ) as page:
        clip = gr.State(no_clip(model), time_to_live=_KEPT_SECONDS)
        stretch = gr.State((0, 0))
        files = gr.State({}, time_to_live=_KEPT_SECONDS)

        block, (height, width) = model.block, model.size
        rate = f" at {model.frame_rate_hz:g} Hz" if model.frame_rate_hz else ""
        gr.Markdown(
            f"# mcvd studio\n**{escape(studio.name)}** sees {block.past} past | {block.current} made | "
            f"{block.future} future frames of {width}x{height} pixels{rate}."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                upload = gr.File(
                    label=f"A video, up to {limits.megabytes} MB",
                    file_types=sorted(VIDEO_SUFFIXES),
                    height=130,
                    elem_id="upload",
                )
                invent = gr.Button("or take an invented street", size="sm", elem_id="invent")
                task = gr.Radio(tasks, value=first_task, label="Task", elem_id="task")
                length = gr.Slider(
                    1, limits.frames, 2 * block.current, step=1, label="Frames to make", elem_id="length"
                )
                num_samples = gr.Slider(1, limits.samples, 2, step=1, label="Different futures", elem_id="samples")
                with gr.Accordion("Sampling", open=False):
                    sampler = gr.Dropdown(sampler_names(), value=default_sampler, label="Sampler", elem_id="sampler")
                    steps = gr.Slider(
                        1, limits.steps, DEFAULT_SAMPLER.num_steps, step=1, label="Steps (network calls) a block"
                    )
                    guidance = gr.Slider(
                        0,
                        5,
                        1,
                        step=0.1,
                        label="Guidance: 1 as trained, more follows the given frames",
                        visible=facts["guidance"],
                    )
                    seed = gr.Number(0, precision=0, minimum=0, label="Seed: the same gives the same videos")
                with gr.Row():
                    start = gr.Button("Make", variant="primary", elem_id="make")
                    cancel = gr.Button("Cancel", variant="stop", elem_id="cancel")
            with gr.Column(scale=3, min_width=480):
                strip = gr.HTML(
                    html_template=film_strip.TEMPLATE,
                    css_template=film_strip.STYLE,
                    js_on_load=film_strip.BEHAVIOUR,
                    elem_id="strip",
                    frames=[],
                    kinds="",
                )
                hint = gr.Markdown(elem_id="hint")
                status = gr.Markdown(elem_id="status")
                result = gr.HTML(elem_id="result")
                with gr.Row(visible=False) as downloads:
                    which = gr.Dropdown([ALL], value=ALL, label="To take home", elem_id="which", scale=2)
                    mp4 = gr.DownloadButton("mp4", elem_id="mp4")
                    gif = gr.DownloadButton("gif", elem_id="gif")
                    html = gr.DownloadButton("page", elem_id="html")

        def mark(clip: Clip, task: Task, length: float, marked: tuple[int, int]) -> tuple[Any, str]:
            kinds, sentence = studio.marked(clip, task, int(length), range(*marked))
            return gr.HTML(kinds=kinds), sentence

        def place(clip: Clip, task: Task, length: float) -> tuple[Any, str, tuple[int, int], Any]:
            first = first_marked(task, model.block, len(clip.frames))
            marked = (first.start, first.stop)
            return *mark(clip, task, length, marked), marked, gr.Slider(visible=task != "interpolate")

        def receive(path: str | None) -> tuple[Clip, Any]:
            new = no_clip(model) if path is None else _told(read_clip, path, model, limits)
            return new, gr.HTML(frames=film_strip.pictures(new.frames), kinds="")

        def take_street(number: float) -> tuple[Clip, Any, None, float]:
            new = invented_clip(model, int(number))
            return new, gr.HTML(frames=film_strip.pictures(new.frames), kinds=""), None, number + 1

        def choose(event: gr.EventData) -> tuple[int, int]:
            return int(event.start), int(event.stop)

        def make(
            clip: Clip,
            marked: tuple[int, int],
            task: Task,
            length: float,
            num_samples: float,
            sampler: str,
            steps: float,
            guidance: float,
            seed: float,
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),
        ) -> Iterator[tuple]:
            def tell(part: float) -> None:
                progress(part, desc="making frames")

            method = _told(named_sampler, sampler, int(steps) if takes_steps(sampler) else None)
            wish = Wish(task, method, int(num_samples), guidance, int(seed))
            work = studio.make(request.session_hash, clip, range(*marked), int(length), wish, tell)
            while (shown := _told(next, work, None)) is not None:
                yield shown.status, shown.result, shown.files or {}, gr.Row(visible=bool(shown.files))

        def offer(files: dict, which: str) -> tuple:
            some = files.get(which, {})
            paths = [str(some[ending]) if ending in some else None for ending in ("mp4", "gif", "html")]
            return tuple(gr.DownloadButton(value=path, visible=path is not None) for path in paths)

        next_street = gr.State(0)
        marks = [strip, hint]
        received = gr.on([upload.upload, upload.clear], receive, upload, [clip, strip], concurrency_limit=1)
        streets = invent.click(take_street, next_street, [clip, strip, upload, next_street], concurrency_limit=1)
        for event in (received, streets):
            event.then(place, [clip, task, length], [*marks, stretch, length])
        task.change(place, [clip, task, length], [*marks, stretch, length])
        strip.mark(choose, None, stretch).then(mark, [clip, task, length, stretch], marks)
        length.change(mark, [clip, task, length, stretch], marks, show_progress="hidden")
        sampler.change(lambda name: gr.Slider(visible=takes_steps(name)), sampler, steps)
        wishes = [clip, stretch, task, length, num_samples, sampler, steps, guidance, seed]
        start.click(lambda request: studio.begin(request.session_hash), None, None, queue=False).then(
            make,
            wishes,
            [status, result, files, downloads],
            concurrency_limit=1,
            show_progress="full",
            show_progress_on=status,
        ).then(lambda files: gr.Dropdown(list(files) or [ALL], value=ALL), files, which).then(
            offer, [files, which], [mp4, gif, html]
        )
        which.change(offer, [files, which], [mp4, gif, html])
        cancel.click(lambda request: studio.cancel(request.session_hash), None, None, queue=False)
        page.load(place, [clip, task, length], [*marks, stretch, length])
        page.unload(lambda request: studio.leave(request.session_hash))
    return page.queue(max_size=_QUEUE_LENGTH)


def serve(studio: Studio, host: str, port: int | None, block: bool = True) -> tuple[gr.Blocks, str]:
    """Open the page to visitors.

    Args:
        studio: whose page.
        host: address to listen on; 127.0.0.1 lets nobody in from outside of this machine.
        port: None takes the first free one from 7860.
        block: wait until it is interrupted.

    Returns:
        The page and its address.
    """
    page = build_page(studio)
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        max_file_size=studio.limits.megabytes * 1_000_000,
        state_session_capacity=_SESSIONS,
        share=False,
        quiet=True,
        ssr_mode=False,
        prevent_thread_lock=True,
        theme=gr.themes.Soft(font=_FONTS, font_mono=_FIXED_FONTS),
        css=_CSS,
    )
    if block:
        print(f"mcvd studio: {url} (stop with Ctrl+C)")
        page.block_thread()
    return page, url


def _told(function: Any, *arguments: Any) -> Any:
    """Call; what a visitor got wrong becomes a message on the page."""
    try:
        return function(*arguments)
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from None
