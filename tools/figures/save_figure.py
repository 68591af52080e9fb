"""Saving a figure of matplotlib as small as it can be."""

import io
import re
from pathlib import Path
from typing import Any


def save(figure: Any, out: Path) -> None:
    """Write a figure; an SVG with real letters, numbers to a tenth of a point, and nothing that is not drawn."""
    if out.suffix != ".svg":
        figure.savefig(out)
        return
    import matplotlib

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mcvd", "font.family": "sans-serif"})
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", "", written.getvalue(), flags=re.S)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([\w-]+)"', lambda match: match[0] if match[1] in used else "", text)
    text = re.sub(r' (?:d|x|y|width|height|transform)="[^"]*"', lambda match: _short(match[0]), text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", text)
    text = re.sub(r"<g>\s*(<use [^>]*/>)\s*</g>", r"\1", text)
    text = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", text)).strip()
    classes: dict[str, str] = {}
    text = re.sub(r'style="([^"]*)"', lambda m: f'class="{classes.setdefault(m[1], f"s{len(classes)}")}"', text)
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    out.write_text(text.replace("</style>", rules + "</style>", 1).replace("<g", "\n<g") + "\n")


def _short(text: str) -> str:
    return re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text)
