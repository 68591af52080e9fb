"""What stands on the studio's page, and where."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from mcvd.apps.studio import film_strip
from mcvd.apps.studio.result_view import ALL
from mcvd.apps.studio.service import Studio
from mcvd.diffusion.tasks import TASKS
from mcvd.samplers.select import sampler_names
from mcvd.video.decoders.base import VIDEO_SUFFIXES

DEFAULT = "the default"  # sampler: the model's own for each task, or that of `mcvd.samplers.select`


@dataclass(frozen=True)
class Controls:
    """All that a visitor can use or look at, created inside of an open `gr.Blocks`."""

    upload: gr.File
    synthetic: gr.Button
    task: gr.Radio
    length: gr.Number
    num_samples: gr.Slider
    sampler: gr.Dropdown
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    start: gr.Button
    cancel: gr.Button
    strip: gr.HTML
    hint: gr.Markdown
    status: gr.Markdown
    downloads: gr.Row
    which: gr.Dropdown
    mp4: gr.DownloadButton
    gif: gr.DownloadButton
    page: gr.DownloadButton
    result: gr.HTML

    @classmethod
    def lay_out(cls, studio: Studio) -> Controls:
        """Choices on the left, the film strip and the result on the right."""
        block, (height, width) = studio.model.block, studio.model.size
        rate = f" at {studio.model.frame_rate_hz:g} Hz" if studio.model.frame_rate_hz else ""
        gr.Markdown(
            f"# mcvd studio\n**{escape(studio.name)}** sees {block.past} past, {block.current} generated and "
            f"{block.future} future frames of {width}x{height} pixels{rate}."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                choices = _video(studio) | _task(studio) | _sampling(studio) | _buttons()
            with gr.Column(scale=3, min_width=320):
                views = _strip() | _downloads()
                views["result"] = gr.HTML(elem_id="result", apply_default_css=False)
        return cls(**choices, **views)


def _video(studio: Studio) -> dict[str, Any]:
    title, kinds = f"A video, up to {studio.limits.megabytes} MB", sorted(VIDEO_SUFFIXES)
    return {
        "upload": gr.File(label=title, file_types=kinds, height=130, elem_id="upload"),
        "synthetic": gr.Button("or take a synthetic street", size="sm", elem_id="synthetic"),
    }


def _task(studio: Studio) -> dict[str, Any]:
    possible = studio.model.facts().tasks
    tasks = [(task.title, name) for name, task in TASKS.items() if possible[name] is None]
    frames, samples = studio.limits.frames, studio.limits.samples
    length = min(frames, 4 * studio.model.block.current)
    return {
        "task": gr.Radio(tasks, value=tasks[0][1], label="Task", elem_id="task"),
        "length": gr.Number(
            length,
            minimum=1,
            maximum=frames,
            precision=0,
            label=f"Frames to generate, up to {frames}",
            elem_id="length",
        ),
        "num_samples": gr.Slider(1, samples, min(2, samples), step=1, label="Samples", elem_id="samples"),
    }


def _sampling(studio: Studio) -> dict[str, Any]:
    facts = studio.model.facts()
    first = next(task for name, task in TASKS.items() if facts.tasks[name] is None)
    own = getattr(studio.model.sampler_for(first), "num_steps", None)
    with gr.Accordion("Sampling", open=False, elem_id="sampling"):
        return {
            "sampler": gr.Dropdown([DEFAULT, *sampler_names()], value=DEFAULT, label="Sampler", elem_id="sampler"),
            "steps": gr.Number(
                own or 1,
                minimum=1,
                maximum=studio.limits.steps,
                precision=0,
                label="Steps: network calls for each block",
                visible=own is not None,
                elem_id="steps",
            ),
            "guidance": gr.Slider(
                0,
                5,
                1,
                step=0.1,
                label="Guidance: above 1 the given frames count more",
                visible=facts.guidance,
                elem_id="guidance",
            ),
            "seed": gr.Number(0, precision=0, minimum=0, label="Seed: the same gives the same", elem_id="seed"),
        }


def _buttons() -> dict[str, Any]:
    with gr.Row():
        return {
            "start": gr.Button("Generate", variant="primary", min_width=80, scale=2, elem_id="generate"),
            "cancel": gr.Button("Cancel", interactive=False, min_width=80, elem_id="cancel"),
        }


def _strip() -> dict[str, Any]:
    return {
        "strip": gr.HTML(
            html_template=film_strip.TEMPLATE,
            css_template=film_strip.STYLE,
            js_on_load=film_strip.BEHAVIOUR,
            apply_default_css=False,
            elem_id="strip",
            frames=[],
            kinds="",
        ),
        "hint": gr.Markdown(elem_id="hint"),
        "status": gr.Markdown(elem_id="status"),
    }


def _downloads() -> dict[str, Any]:
    with gr.Row(visible=False, equal_height=True) as row:
        which = gr.Dropdown([ALL], value=ALL, show_label=False, container=False, scale=3, elem_id="which")
        buttons = {
            name: gr.DownloadButton(f"Save {title}", size="sm", min_width=90, elem_id=name)
            for name, title in (("mp4", "mp4"), ("gif", "gif"), ("page", "this page"))
        }
    return {"downloads": row, "which": which, **buttons}
