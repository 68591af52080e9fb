"""What stands on the studio's page, and where."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from mcvd.apps.studio import examples as gallery
from mcvd.apps.studio import film_strip
from mcvd.apps.studio.clip import no_clip
from mcvd.apps.studio.examples import Example
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.take_home import ALL
from mcvd.apps.studio.tasks import ENLARGE, UPSAMPLE, UPSAMPLING, possible_tasks, sampled_as
from mcvd.samplers.select import sampler_names
from mcvd.video.arrays.open import ENDINGS
from mcvd.video.decoders.base import VIDEO_SUFFIXES
from mcvd.video.page_template import page_file

NO_RESULT = '<p class="nothing">The result will be here.</p>'
CONTEXT, KEYFRAMES = "the given frames, or the gap", "keyframes"
NO_WISH = "nothing"
MAX_FACTOR = 8
DEFAULT = "the default"  # sampler: the model's own for each task, or that of `mcvd.samplers.select`


@dataclass(frozen=True)
class Controls:
    """All that a visitor can use or look at, created inside of an open `gr.Blocks`."""

    examples: gr.HTML
    upload: gr.File
    variable: gr.Textbox
    axes: gr.Textbox
    sequence: gr.Number
    shown: gr.Dropdown
    task: gr.Radio
    length: gr.Number
    num_samples: gr.Slider
    sampler: gr.Dropdown
    steps: gr.Slider
    guidance: gr.Slider
    drops: gr.Radio
    seed: gr.Number
    loop: gr.Checkbox
    factor: gr.Slider
    low_noise: gr.Slider
    told: dict[str, gr.Slider | gr.Radio]
    tell: gr.Checkbox
    wish: gr.Dropdown
    weight: gr.Slider
    start: gr.Button
    cancel: gr.Button
    strip: gr.HTML
    hint: gr.Markdown
    marking: gr.Radio
    status: gr.Markdown
    which: gr.Dropdown
    mp4: gr.DownloadButton
    gif: gr.DownloadButton
    page: gr.DownloadButton
    values: gr.DownloadButton
    result: gr.HTML

    def of_tasks(self) -> list[Any]:
        """Those that differ by task."""
        return [self.length, self.factor, self.low_noise, self.loop, self.marking]

    @classmethod
    def lay_out(cls, studio: Studio, examples: list[Example]) -> Controls:
        """Examples and the film strip above, choices left and the result right of it; on a phone below each other."""
        sentence = studio.model.facts().sentence
        gr.Markdown(f"# mcvd studio\n**{escape(studio.name)}**: {sentence[0].lower()}{sentence[1:]}", elem_id="head")
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                gr.Markdown(f"Click an example, or bring {'a file' if studio.has_values else 'a video'} of your own.")
                shown = _examples(studio, examples)
            with gr.Column(scale=1, min_width=260):
                shown |= _video(studio)
        shown |= _strip(studio)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                shown |= _task(studio) | _signals(studio) | _wish(studio) | _sampling(studio) | _buttons()
            with gr.Column(scale=3, min_width=300):
                shown |= {"status": gr.Markdown(elem_id="status")} | _downloads(studio) | _result()
        return cls(**shown)


def _examples(studio: Studio, examples: list[Example]) -> dict[str, Any]:
    return {
        "examples": gr.HTML(
            html_template=gallery.TEMPLATE,
            css_template=gallery.STYLE,
            js_on_load=gallery.BEHAVIOUR,
            apply_default_css=False,
            elem_id="examples",
            cards=gallery.cards(studio.model, examples),
        )
    }


def _video(studio: Studio) -> dict[str, Any]:
    thing, kinds = (
        ("A file of values", {*VIDEO_SUFFIXES, *ENDINGS}) if studio.has_values else ("A video", VIDEO_SUFFIXES)
    )
    title = f"{thing}, up to {studio.limits.megabytes} MB"
    return {"upload": gr.File(label=title, file_types=sorted(kinds), height=150, elem_id="upload")} | _fields(studio)


def _fields(studio: Studio) -> dict[str, Any]:
    """How a file of values is read, and what of it is shown; hidden for models of pixels."""
    several, names = studio.model.channels > 1, studio.channel_names
    found: dict[str, Any] = {}
    with gr.Accordion("How the file is read", open=False, visible=studio.has_values, elem_id="reading"):
        text = "Array, of a file with several; names with commas become channels"
        found["variable"] = gr.Textbox(label=text, max_lines=1, elem_id="variable")
        text = "Its axes, a letter each of NTCHW"
        found["axes"] = gr.Textbox(label=text, placeholder="as the file tells", max_lines=1, elem_id="axes")
        text = "Number of the sequence, of several"
        found["sequence"] = gr.Number(None, minimum=0, precision=0, label=text, elem_id="sequence")
    found["shown"] = gr.Dropdown(
        [(name, number) for number, name in enumerate(names)],
        value=[],
        multiselect=True,
        max_choices=3,
        label="Channels to look at: one, or three as red, green and blue",
        visible=studio.has_values and several,
        elem_id="shown",
    )
    return found


def length_label(studio: Studio) -> str:
    """Of the number of frames to generate."""
    return f"Frames to generate, up to {studio.limits.frames}"


def _task(studio: Studio) -> dict[str, Any]:
    possible = possible_tasks(studio.model)
    frames, samples, first = studio.limits.frames, studio.limits.samples, possible[0].name
    length = min(frames, 2 * studio.model.block.current)
    return {
        "task": gr.Radio([(task.title, task.name) for task in possible], value=first, label="Task", elem_id="task"),
        "length": gr.Number(
            length,
            minimum=1,
            maximum=frames,
            precision=0,
            label=length_label(studio),
            visible=first not in UPSAMPLING,
            elem_id="length",
        ),
        "factor": gr.Slider(
            2, MAX_FACTOR, 2, step=1, label="Times as many frames", visible=first == UPSAMPLE.name, elem_id="factor"
        ),
        "low_noise": gr.Slider(
            0,
            max_low_noise(studio) or 1,
            0,
            step=0.01,
            label="Noise on the small frames: more trusts them less",
            visible=first == ENLARGE.name and max_low_noise(studio) > 0,
            elem_id="low-noise",
        ),
        "num_samples": gr.Slider(1, samples, min(3, samples), step=1, label="Samples", elem_id="samples"),
        "loop": gr.Checkbox(
            False,
            label="Loop: the last frame leads back to the first",
            visible=first not in UPSAMPLING and studio.model.takes_single_frames,
            elem_id="loop",
        ),
    }


def max_low_noise(studio: Studio) -> float:
    """The most noise on small frames that the model knows; 0 for one that takes none."""
    options = studio.model.super_resolution
    return 0.0 if options is None else options.noise


def _signals(studio: Studio) -> dict[str, Any]:
    """A slider for each number that the model is told, and a choice for each group of labels."""
    first = studio.first_signals
    signals = studio.model.signals
    can_hide = studio.can_hide_signals
    with gr.Group(visible=bool(first)):
        tell = gr.Checkbox(True, label="Tell the model", visible=can_hide, elem_id="tell")
        told: dict[str, gr.Slider | gr.Radio] = {}
        for name, value in first.items():
            assert signals is not None
            if isinstance(value, str):
                told[name] = gr.Radio(signals.labels[name], value=value, label=name)
            else:
                place = signals.columns.index(name)
                low, high = (
                    ends[place] if ends else default for ends, default in ((signals.low, -1), (signals.high, 1))
                )
                told[name] = gr.Slider(low, high if high > low else low + 1, value, label=name)
    return {"told": told, "tell": tell}


def _wish(studio: Studio) -> dict[str, Any]:
    """Towards which label the classifier guides, and how strongly; not seen without a classifier."""
    labels = studio.classifier.labels if studio.classifier else ()
    with gr.Group(visible=bool(labels)):
        return {
            "wish": gr.Dropdown(
                [(NO_WISH, ""), *labels], value="", label="Guide towards", visible=bool(labels), elem_id="wish"
            ),
            "weight": gr.Slider(
                0,
                30,
                4,
                step=0.5,
                label="How strongly: 1 is the classifier's own probability",
                visible=bool(labels),
                elem_id="weight",
            ),
        }


def _sampling(studio: Studio) -> dict[str, Any]:
    own = getattr(studio.model.sampler_for(sampled_as(possible_tasks(studio.model)[0])), "num_steps", None)
    drops = [("the given frames", "both")] if studio.model.facts().guidance else []
    drops += [("what the model is told", "signals")] if studio.can_hide_signals else []
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
                label="Guidance: above 1 what is given counts more",
                visible=bool(drops),
                elem_id="guidance",
            ),
            "drops": gr.Radio(
                drops,
                value=drops[0][1] if drops else None,
                label="Guidance strengthens",
                visible=studio.can_hide_signals,
                elem_id="drops",
            ),
            "seed": gr.Number(0, precision=0, minimum=0, label="Seed: the same gives the same", elem_id="seed"),
        }


def _buttons() -> dict[str, Any]:
    with gr.Row():
        return {
            "start": gr.Button("Generate", variant="primary", min_width=80, scale=2, elem_id="generate"),
            "cancel": gr.Button("Cancel", interactive=False, min_width=80, elem_id="cancel"),
        }


def _strip(studio: Studio) -> dict[str, Any]:
    # What to do first stands there from the beginning: an answer of the server might come after a first click.
    first = possible_tasks(studio.model)[0]
    _, first_words = studio.describe_selection(no_clip(studio.model), first, 1, range(0))
    strip = gr.HTML(
        html_template=film_strip.TEMPLATE,
        css_template=film_strip.STYLE,
        js_on_load=film_strip.BEHAVIOUR,
        apply_default_css=False,
        elem_id="strip",
        frames=[],
        kinds="",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            hint = gr.Markdown(first_words, elem_id="hint")
        with gr.Column(scale=2, min_width=300):
            marking = gr.Radio(
                [CONTEXT, KEYFRAMES],
                value=CONTEXT,
                label="Dragging marks",
                interactive=first.name not in UPSAMPLING and studio.model.takes_single_frames,
                elem_id="marking",
            )
    return {"strip": strip, "hint": hint, "marking": marking}


def _downloads(studio: Studio) -> dict[str, Any]:
    """Always there, so that nothing moves when the files are; until then they cannot be clicked."""
    with gr.Row(equal_height=True, elem_id="downloads"):
        which = gr.Dropdown(
            [ALL], value=ALL, show_label=False, container=False, scale=3, min_width=140, elem_id="which"
        )
        buttons = {
            name: gr.DownloadButton(f"Save {title}", size="sm", min_width=90, elem_id=name, interactive=False)
            for name, title in (("mp4", "mp4"), ("gif", "gif"), ("page", "this page"))
        }
        buttons["values"] = gr.DownloadButton(
            "Save values", size="sm", min_width=90, elem_id="values", interactive=False, visible=studio.has_values
        )
    return {"which": which, **buttons}


def _result() -> dict[str, Any]:
    return {
        "result": gr.HTML(
            NO_RESULT,
            js_on_load=f"const start = () => {{ {page_file('clock.js')} }};\n"
            "new MutationObserver(start).observe(element, {childList: true, subtree: true});\nstart();",
            apply_default_css=False,
            elem_id="result",
        )
    }
