"""Every command and every snippet of README.md and docs/ runs, with small settings; what cannot run here says why."""

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from urllib.parse import unquote

import pytest
import torch
from PIL import Image

import mcvd
import mcvd.samplers.select
from mcvd.apps.cli.main import main
from mcvd.data.synthetic.driving.scenes import DrivingScenes

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CARDS = [
    *ROOT.glob("docs/results/*.md"),
    *ROOT.glob("datasets/*/README.md"),
    ROOT / "configs/README.md",
    ROOT / "mcvd/box/README.md",
]
BLOCK = re.compile(r"(?:<!-- not run: (.+?) -->\n)?^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.py)\n")  # begins a block that a reader saves under this name
HTML_LINK = re.compile(r'(?:href|src)="?(?!\w+:)([^"\s>]+)')
HTML_ID = re.compile(r'\bid="?([^"\s>]+)')
SMALL = {  # later options win
    "fit": "--trainer.max_steps 2 --trainer.accelerator cpu --data.batch_size 2 --data.num_workers 0",
    "predict": "--steps 1 --device cpu",
    "interpolate": "--steps 1 --device cpu",
    "generate": "--steps 1 --device cpu",
    "distill": "--trainer.max_steps 2 --trainer.accelerator cpu --data.batch_size 1 --data.num_workers 0 "
    "--preview.every_n_steps null",
    "tune-sampler": "--tasks predict --samplers DDIM --steps 1 2 --num-frames 5 --num-clips 3 --num-samples 2 "
    "--device cpu",
    "evaluate": "--steps 1 --device cpu --num-clips 2 --num-samples 2",
}


def blocks(page):
    return [match.groups() for match in BLOCK.finditer(page.read_text())]


def left_out():
    return [(page.name, reason) for page in PAGES for reason, _, _ in blocks(page) if reason]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """What a reader has at hand: the repository's recipes and some videos."""
    for name in ("configs", "datasets"):
        (tmp_path / name).symlink_to(ROOT / name)
    scenes = DrivingScenes(3, seed=3)
    (tmp_path / "my_videos").mkdir()
    for number, name in enumerate(("drive", "town", "hill")):
        street = scenes.read(number, range(60), (64, 64))
        mcvd.write_video(tmp_path / "my_videos" / f"{name}.mp4", street, fps=10)
    for name, picture in {"here": street[0], "there": street[9], "corner": torch.full_like(street[0], 255)}.items():
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / f"{name}.png")
    for name in ("street.mp4", "clip.mp4"):
        shutil.copy(tmp_path / "my_videos" / "drive.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for choice in ("_GIVEN_FRAMES", "_FROM_NOTHING"):
        monkeypatch.setattr(mcvd.samplers.select, choice, mcvd.samplers.DDIM(1))
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - loaded:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def run_command(words, desk):
    assert words[0] == "mcvd", f"{shlex.join(words)}: only mcvd runs here, mark others with <!-- not run: why -->"
    if "--compare" in words:
        shutil.copy(desk / "result.json", desk / "other.json")
    else:
        words = [*words, *SMALL.get(words[1], "").split()]
    assert main(words[1:]) == 0, shlex.join(words)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_what_a_page_says_works(page, desk):
    names = {"__name__": "__docs__"}
    for reason, kind, text in blocks(page):
        if reason:
            continue
        if kind == "python" and (file := FILE.match(text)):
            (desk / file[1]).write_text(text)
        elif kind == "python":
            exec(compile(text, page.name, "exec"), names)
        else:
            for line in text.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    run_command(words, desk)


def test_the_notebook_runs_cell_by_cell(desk):
    names = {"__name__": "__docs__"}
    for cell in json.loads((ROOT / "docs" / "first-video.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "first-video.ipynb", "exec"), names)


@pytest.mark.parametrize(("page", "reason"), left_out())
def test_what_does_not_run_here_says_why(page, reason):
    pytest.skip(f"{page}: {reason}")


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    text = page.read_text()
    paths = set(re.findall(r"(?<![\w./-])(?:tests|tools|mcvd|configs|datasets|docs)/[\w./-]*\w", text))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    links = set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text))
    assert [link for link in sorted(links) if not (page.parent / link).exists()] == []
    names = set(re.findall(r"(?<![\w./-])mcvd(?:\.[A-Za-z_]\w*)+", text))
    assert [name for name in sorted(names) if not resolves(name)] == []


def resolves(name):
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_no_link_of_the_site_leads_nowhere(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra mcvd[docs]")
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    pages = [path for path in tmp_path.rglob("*.html") if path.name != "404.html"]
    names = {page: set(HTML_ID.findall(page.read_text(encoding="utf-8"))) for page in pages}
    assert tmp_path / "repository/mcvd/box/index.html" in names  # beside docs/
    for page in pages:
        for link in map(html.unescape, HTML_LINK.findall(page.read_text(encoding="utf-8"))):
            path, _, name = link.partition("#")
            target = (page.parent / unquote(path)).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (page.relative_to(tmp_path), link)
            assert not name or target not in names or unquote(name) in names[target], (page, link)


def test_examples_of_extending_are_short():
    assert all(len(text.splitlines()) < 40 for _, _, text in blocks(ROOT / "docs/extending.md"))
