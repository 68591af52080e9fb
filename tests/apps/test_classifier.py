"""A classifier as a user trains and uses it: by commands."""

import json

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY, assert_same_run

import mcvd
from mcvd.apps.cli.main import main
from mcvd.apps.cli.render import settings_of
from mcvd.diffusion.options import SamplingOptions
from mcvd.models.classifier import load_classifier
from mcvd.training.configs import with_configs

SMALL = ["--model.width", "8", "--model.multipliers", "[1,2]", "--model.dropout", "0.1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films in folders by their labels, a model of such frames, and a classifier for it."""
    folder = tmp_path_factory.mktemp("classified")
    for number, word in enumerate(["dark", "light", "dark", "light"]):
        film = pixels(9, 3, 16, 16, seed=number) // 3 + 160 * (word == "light")
        mcvd.write_video(folder / f"films/{word}/{number}.mp4", film, fps=10)
    tiny_model(channels=3).save_pretrained(folder / "model")
    data = {name: value for name, value in TINY["data"].items() if name not in ("train", "val")}
    recipe = {"data": data | {"root": str(folder / "films"), "val_root": str(folder / "films")}}
    recipe |= {"trainer": TINY["trainer"] | {"max_steps": 6}, "checkpoints": {"every_n_steps": 3}}
    (folder / "data.yaml").write_text(yaml.safe_dump(recipe))
    words = ["--checkpoints.keep_every_n_steps", "3"]
    assert fit(folder, "run", "--model.labels", "[dark, light]", *words) == 0
    return folder


def fit(folder, root, *words):
    given = ["fit-classifier", str(folder / "model"), "--config", str(folder / "data.yaml"), *SMALL]
    return main([*given, "--trainer.default_root_dir", str(folder / root), *words])


def predict(folder, out, *words):
    given = ["predict", str(folder / "films/dark/0.mp4"), "--model", str(folder / "model"), "--num-frames", "3"]
    return main([*given, "--out", str(folder / out), "--steps", "2", "--device", "cpu", *words])


def test_without_a_config_none_is_taken_for_granted():
    words = ["--model.guides", "model", "--data.root", "clips"]
    assert with_configs(words) == (words, None)  # "small" is the config of a video model


def test_a_resumed_training_is_the_same_and_learns_what_labels_there_are(folder, capsys):
    checkpoint = str(folder / "run/run-1/step-000003.ckpt")
    assert fit(folder, "again", "--model.labels", "[dark, light]", "--ckpt_path", checkpoint, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["out"] == str(folder / "again/run-1/classifier") and told["steps"] == 6
    runs = (torch.load(folder / f"{name}/run-1/last.ckpt", weights_only=True) for name in ("again", "run"))
    assert_same_run(*runs)
    classifier = load_classifier(folder / "run/run-1/classifier")
    assert classifier.labels == ("dark", "light") and classifier.num_frames == 3 and classifier.channels == 3
    header = (folder / "run/run-1/metrics.csv").read_text().splitlines()[0]
    assert {"train/accuracy", "val/accuracy", "val/accuracy_little_noise"} <= {*header.split(",")}


def test_a_command_is_guided_by_it(folder):
    own = ["--classifier", str(folder / "run/run-1/classifier"), "--label"]
    assert predict(folder, "a.png") == 0
    assert predict(folder, "b.png", *own, "light", "--guide-weight", "0") == 0
    assert predict(folder, "c.png", *own, "light", "--guide-weight", "1000") == 0
    plain, nothing, light = ((folder / f"{name}.png").read_bytes() for name in "abc")
    assert plain == nothing != light


@pytest.mark.parametrize(
    "words, says",
    [
        (["--label", "light"], "--label goes with --classifier"),
        (["--guide-weight", "3"], "--guide-weight goes with --classifier"),
        (["--classifier", "run/run-1/classifier"], "--label WORD"),
        (["--classifier", "run/run-1/classifier", "--label", "ligth"], "did you mean light?"),
        (["--classifier", "absent", "--label", "light"], "no such file or folder"),
        (["--classifier", "model", "--label", "light"], "no classifier"),
        (["--classifier", "run/run-1/classifier", "--label", "light", "--guide-weight", "-1"], "at least 0"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, monkeypatch, capsys, words, says):
    monkeypatch.chdir(folder)
    assert predict(folder, "never.png", *words) != 0
    assert says in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (folder / "never.png").exists()


def test_what_a_classifier_of_other_weights_began_is_not_taken_up(folder):
    model, settings = mcvd.load(folder / "model"), []
    for shift in (0.0, 0.0, 0.1):  # trained again in between
        classifier = load_classifier(folder / "run/run-1/classifier")
        next(classifier.parameters()).add_(shift)
        settings.append(settings_of(model, SamplingOptions(guide=classifier.wish("light"))))
    assert settings[0] == settings[1] != settings[2]
    assert json.dumps(settings[2])


def test_it_guides_at_another_size_and_says_so(folder, capsys):
    own = ["--classifier", str(folder / "run/run-1/classifier"), "--label", "light", "--size"]
    assert predict(folder, "wide.png", *own, "24x32", "--guide-weight", "1000") == 0
    assert predict(folder, "plain.png", "--size", "24x32") == 0
    assert "was trained on frames of 16x16, here they are 24x32" in capsys.readouterr().err
    assert (folder / "wide.png").read_bytes() != (folder / "plain.png").read_bytes()


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "told no labels"),
        (["--model.labels", "[dark, grey]"], "has 0 of the labels"),
        (["--model.labels", "[dark]"], "2 to 8192 labels"),
        (["--model.labels", "[dark, light]", "--init_from", "x"], "--init_from"),
    ],
)
def test_what_cannot_be_trained_is_one_line(folder, capsys, words, says):
    assert fit(folder, "never", *words) == 2
    assert says in capsys.readouterr().err.strip().splitlines()[-1]
