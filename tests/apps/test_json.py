"""``--json``: what scripts read of commands."""

import json
from pathlib import Path

import pytest

from mcvd.apps.cli.main import commands, main
from mcvd.apps.cli.say import for_scripts, say, say_json

FAST = ["--steps", "1", "--device", "cpu"]


def test_scripts_read_json(model, video, tmp_path, capsys):
    root = Path(video).parent
    words = ["evaluate", "--model", model, "--root", str(root), "--num-samples", "1", "--out", str(tmp_path / "r.json")]
    assert main([*words, "--json", *FAST]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "r.json").read_text())
    assert main(["data", "check", str(root), "--num-frames", "3", "--json"]) in (0, 1)
    assert {"ready", "problem", "lines"} == json.loads(capsys.readouterr().out).keys()
    assert main(["evaluate", "--compare", str(tmp_path / "r.json"), str(tmp_path / "r.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparable"] is True


@pytest.mark.parametrize(
    "words", [*([name] for name in commands() if name != "data"), *(["data", each] for each in ("check", "pack"))]
)
def test_every_command_has_json_and_means_the_same(words, capsys):
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert "--json print" in told and "one JSON object" in told and "all else goes to the standard error" in told


def test_what_is_no_result_goes_to_the_standard_error(capsys):
    with for_scripts():
        print("a library says something")
        say("and so do we")
        say_json({"out": "here"})
    print("after it")
    found = capsys.readouterr()
    assert found.out == '{\n  "out": "here"\n}\nafter it\n'
    assert found.err == "a library says something\nand so do we\n"


def test_after_a_failure_scripts_read_nothing(capsys):
    assert main(["info", "nowhere", "--json"]) != 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "num_frames"),
    [
        (["predict", "VIDEO", "--num-frames", "4"], 6),
        (["interpolate", "VIDEO", "--gap", "10:16"], 15),
        (["generate", "--num-frames", "4"], 4),
    ],
)
def test_scripts_read_what_was_written(words, num_frames, model, video, tmp_path, capsys):
    words, out = [video if word == "VIDEO" else word for word in words], str(tmp_path / "o.mp4")
    assert main([*words, "--model", model, "--out", out, "--gallery", "--json", *FAST]) == 0
    written = json.loads(capsys.readouterr().out)
    page = str(tmp_path / "o.html")
    assert written == {"out": out, "num_videos": 1, "num_frames": num_frames, "fps": 10.0, "page": page}
