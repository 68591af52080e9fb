"""README and the bundled model's card say what the committed measurement says."""

import json
from pathlib import Path

import pytest

from mcvd.models.load import BOX

ROOT = Path(__file__).parents[1]
RESULTS = json.loads((ROOT / "docs/results/bundled.json").read_text())
TASKS = ("predict", "backward", "interpolate")


def cells(line):
    return [cell.strip().strip("*") for cell in line.strip("| \n").split("|")]


def tables(path):
    """Each table of a Markdown file as its rows, by the first cell of its head."""
    found, table = {}, None
    for line in path.read_text().splitlines():
        if not line.startswith("|"):
            table = None
        elif table is None:
            table = found.setdefault(cells(line)[0], [])
        elif not line.startswith("|---"):
            table.append(cells(line))
    return found


def numbers(row, names):
    return ["" if row[name] is None else f"{row[name]:.2f}" for name in names]


@pytest.mark.parametrize("task", TASKS)
def test_the_card_shows_every_kind_of_film_as_it_was_measured(task):
    columns = [
        "psnr_simple",
        "psnr",
        "psnr_mean",
        "crps_simple",
        "crps",
        "spread_skill",
        "error_ratio",
        "motion",
        "sharpness",
    ]
    expected = [[kind, str(row["clips"]), *numbers(row, columns)] for kind, row in RESULTS[task].items()]
    assert tables(BOX / "README.md")[task] == expected


def test_the_card_shows_the_films_of_strangers_as_they_were_measured():
    measured = json.loads((ROOT / "docs/results/strangers.json").read_text())
    columns = ["psnr_simple", "psnr", "psnr_mean", "crps_simple", "crps", "motion", "sharpness"]
    expected = [[film, *numbers(row, columns)] for film, row in measured["predict"].items()]
    assert tables(BOX / "README.md")["film"] == expected
    text = " ".join((BOX / "README.md").read_text().split())
    wins = [sum(row["psnr_mean"] > row["psnr_simple"] for row in measured[task].values()) for task in TASKS]
    assert all(row["crps"] < row["crps_simple"] for task in TASKS for row in measured[task].values())
    assert "better PSNR on {}, {} and {} of the 14".format(*wins) in text


def test_the_readme_counts_the_kinds_of_moving_film_as_they_were_measured():
    moving = [row for kind, row in RESULTS["predict"].items() if not kind.endswith("still")]
    psnr = sum(row["psnr_mean"] > row["psnr_simple"] for row in moving)
    crps = sum(row["crps"] < row["crps_simple"] for row in moving)
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"On moving film of {len(moving)} kinds" in text
    assert f"on {psnr} (PSNR)" in text and f"on all {crps} (CRPS)" in text


def test_the_measurement_is_of_the_sampler_that_everybody_gets_and_of_enough_clips():
    assert RESULTS["sampler"] == "the model's own" and RESULTS["samples"] == 10
    for task in TASKS:
        kinds = {kind.removesuffix(" still") for kind in RESULTS[task]}
        assert len(kinds) >= 8 and sum(row["clips"] for row in RESULTS[task].values()) >= 60
