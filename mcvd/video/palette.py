"""What colours mean: the same in pages, charts, film strips and the studio, and no colour means two things."""

from __future__ import annotations

# Frames. Blue and orange are told apart by the colour-blind too.
CONTEXT, GENERATED, TARGET = "#2f7de1", "#f08a24", "#8b95a1"

# Samples and other rows of the model, each of its own hue; none is near to the colours above. Baselines are grey.
SERIES = ("#2f9e62", "#c2478f", "#7a5cd6", "#0f9aa8", "#8a8f1f", "#d43d51", "#8c564b", "#e58fc6")

# Numbers, from the lowest to the highest: viridis, as bright as they are high.
SCALE = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of 0 to 255.

    Examples:
        >>> rgb("#2f7de1")
        (47, 125, 225)
    """
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def css_variables() -> str:
    """The colours as declarations of CSS, to stand between the braces of a rule."""
    named = {"context": CONTEXT, "generated": GENERATED, "target": TARGET, "scale": ", ".join(SCALE)}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())
