"""Who sees a progress bar, and videos in a notebook."""

import io

import nbformat
import pytest
from nbclient import NotebookClient
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.runtime.progress import progress_bar

FAST = {"sampler": mcvd.samplers.DDIM(2)}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_counts_frames_with_their_rate_and_the_time_left(monkeypatch):
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    tiny_model().predict(pixels(2, 1, 16, 16), 7, num_samples=2, **FAST)
    assert "/14 frames [" in screen.getvalue()
    assert " left, " in screen.getvalue() and "frames/s]" in screen.getvalue()


@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_silent_when_nobody_watches_or_wants_it(wanted, capsys, monkeypatch):
    if not wanted:
        monkeypatch.setattr("sys.stderr", Terminal())
    tiny_model().predict(pixels(2, 1, 16, 16), 3, progress=wanted, **FAST)
    with progress_bar(None, "clips", wanted) as bar:
        bar.update()
    assert capsys.readouterr().err == ""


def test_a_notebook_shows_the_bar_and_the_videos(tmp_path):
    tiny_model(channels=3).save_pretrained(tmp_path / "tiny")
    cell = f"""import torch, mcvd
model = mcvd.load({str(tmp_path / "tiny")!r})
past = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
mcvd.show(model.predict(past, 4, num_samples=2, sampler=mcvd.samplers.DDIM(2)))"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = book.cells[0].outputs
    assert any("8 frames [" in output.get("text", "") for output in outputs)
    shown = [output["data"]["text/html"] for output in outputs if "data" in output]
    assert len(shown) == 1 and shown[0].count("<video") == 2
    assert "made by the model" not in shown[0]


def test_named_videos_keep_their_names():
    html = mcvd.show({"filmed": pixels(3, 3, 16, 16), "made": pixels(3, 1, 16, 16)})._repr_html_()
    assert "<figcaption>filmed" in html and "<figcaption>made" in html
