"""Models to and from the Hub: by the real client, over a real connection, to a server on this machine."""

import json
from functools import partial

import pytest
import torch
import yaml
from reference.forked_python import forked_python
from reference.hub_stand_in import TOKEN, a_hub
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.evaluation.evaluate import evaluate
from mcvd.samplers import DDIM


@pytest.fixture(scope="module")
def hub():
    with a_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def python():
    with forked_python("torch", "lightning.pytorch", "mcvd.apps.cli.main", "mcvd.models.load") as python:
        yield python


def run_client(hub, python, folder, code, ok=True, **more):
    """Run Python that talks to the stand-in; the client reads its address when it is imported."""
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hub"), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
    status, out, err = python.run(code if isinstance(code, list) else ["-c", code], folder, settings | more)
    assert (status == 0) == ok, err
    return (out if ok else err).strip()


@pytest.fixture
def client(hub, python, tmp_path):
    """`run_client` with an empty home."""
    return partial(run_client, hub, python, tmp_path)


PUSH = """
from reference.tiny import tiny_model
print(tiny_model(channels={channels}).push_to_hub("{name}", license="mit", data="Noise.", revision={revision!r}))
"""


@pytest.fixture(scope="module")
def pushed(hub, python, tmp_path_factory):
    """Address of the commit that made me/tiny."""
    code = PUSH.format(name="me/tiny", channels=3, revision=None)
    return run_client(hub, python, tmp_path_factory.mktemp("home"), code).splitlines()[-1]


def test_what_is_pushed_is_loaded_by_its_name(hub, client, pushed):
    code = "import mcvd\nfor load in (mcvd.load, mcvd.MCVD.from_pretrained):\n"
    code += "    model = load('me/tiny'); print(model.channels, model.generate(2, seed=1).sum().item())"
    expected = f"3 {tiny_model(channels=3).generate(2, seed=1).sum().item()}"
    assert client(code).splitlines() == [expected, expected]
    _, files = hub.files("me/tiny", "main")
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]


def test_a_model_of_values_comes_back_with_its_scale(hub, client):
    code = """
import torch, mcvd
from reference.tiny import tiny_config
scale = {"low": 0.0, "high": 100.0, "transform": "log", "unit": "mm/h", "missing": "nan"}
codec = {"class_path": "mcvd.models.codecs.Scale", "init_args": scale}
model = mcvd.build(tiny_config(past=2, current=3, channels=2) | {"codec": codec}).eval()
model.push_to_hub("me/rain")
past = 100 * torch.rand(2, 2, 16, 16)
past[0, 0, 0] = torch.nan
forecasts = (each.predict(past, 3, sampler=mcvd.samplers.DDIM(2)) for each in (model, mcvd.load("me/rain")))
print(torch.equal(*(each.nan_to_num(-1) for each in forecasts)), mcvd.load("me/rain").codec == model.codec)
"""
    assert client(code).splitlines()[-1] == "True True"
    assert b"mcvd.data.ArrayVideos" in hub.files("me/rain", "main")[1]["README.md"]


def test_a_revision_pins_the_weights(client):
    one, two = (PUSH.format(name="me/twice", channels=channels, revision=None) for channels in (3, 1))
    first = client(one + two).splitlines()[0]
    code = f"""
import mcvd
names = ("me/twice", None), ("me/twice", "{first}"), ("me/twice@{first}", None)
print(*(mcvd.load(name, revision=revision).channels for name, revision in names))
mcvd.load("me/twice@{first}", revision="main")
"""
    assert "names a revision already" in client(code, ok=False)
    assert client(code.rsplit("mcvd.load", 1)[0]) == "1 3 3"


def test_a_branch_is_written_to_and_read_from(client, pushed):
    client(PUSH.format(name="me/tiny", channels=1, revision="grey"))
    code = "import mcvd; print(*(mcvd.load('me/tiny', revision=name).channels for name in ('grey', None)))"
    assert client(code) == "1 3"


def test_a_command_takes_the_name(client, pushed, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(12, 3, 16, 16), fps=10)
    words = "-m mcvd predict a.mp4 --model me/tiny --num-frames 3 --steps 1 --device cpu --out b.mp4"
    client(words.split())
    assert mcvd.read_video(tmp_path / "b.mp4").shape == (5, 3, 16, 16)


def test_only_config_and_safetensors_are_fetched(hub, client, pushed):
    _, files = hub.files("me/tiny", "main")
    hub.add_commit("me/tiny", "more", files | {"evil.py": b"raise SystemExit", "pytorch_model.bin": b"a pickle"})
    hub.asked.clear()
    client("import mcvd; mcvd.load('me/tiny', revision='more')")
    fetched = {path.rsplit("/", 1)[-1] for _, path in hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}


def test_once_fetched_it_opens_without_the_network(client, pushed):
    client("import mcvd; mcvd.load('me/tiny')")
    client("import mcvd; mcvd.load('me/tiny')", HF_HUB_OFFLINE="1")


@pytest.mark.parametrize("name", ["me/none", "me/tiny@x"])
def test_a_name_that_is_not_there_is_refused_in_one_line(client, name):
    said = client(["-m", "mcvd", "info", name], ok=False)
    assert name in said and len(said.splitlines()) == 1


def test_who_has_no_leave_is_refused(client):
    code = PUSH.format(name="me/tiny", channels=1, revision=None)
    said = client(code, ok=False, HF_TOKEN="hf_of_somebody_else")
    assert "401" in said and "me/tiny was not uploaded" in said.splitlines()[-1] and "hf auth login" in said


def test_without_a_connection_an_upload_says_what_it_takes(client):
    code = PUSH.format(name="me/tiny", channels=1, revision=None)
    said = client(code, ok=False, HF_ENDPOINT="http://127.0.0.1:9")
    assert "me/tiny was not uploaded: that takes a connection" in said.splitlines()[-1]


# The model card


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """The card of a model with scores, as it lies in an exported folder."""
    folder = tmp_path_factory.mktemp("card")
    model = tiny_model(past=2, current=3, future=2, channels=3)
    model.frame_rate_hz = 10.0
    scores = evaluate(model, pixels(2, 7, 3, 16, 16), num_samples=2, sampler=DDIM(num_steps=1), num_frames=3).to_json()
    distances = [{"name": "FVD", "value": None, "reason": "not asked for"}]
    result = {
        "scores": scores,
        "protocol": None,
        "data": "noise",
        "command": "mcvd evaluate ...",
        "distances": distances,
    }
    (folder / "result.json").write_text(json.dumps(result))
    about = {"data": "Two clips of noise.", "license": "cc-by-4.0"}
    model.save_pretrained(folder / "drive", scores=[folder / "result.json"], **about)
    return (folder / "drive" / "README.md").read_text(), scores


def test_the_card_tells_task_data_block_scores_and_licence(card):
    text, scores = card
    assert "2 past and 2 future frames and generates 3 at once" in text
    assert text.count("| yes |") == 4
    assert "Two clips of noise." in text
    assert "## Licence\n\ncc-by-4.0" in text
    for name, row in scores["rows"].items():
        assert f"| {row['psnr']:.2f} |" in text, name
    assert "mcvd evaluate ..." in text


def test_the_hub_can_read_the_head_of_the_card(card):
    _, head, _ = card[0].split("---\n", 2)
    head = yaml.safe_load(head)
    assert head["license"] == "cc-by-4.0" and head["library_name"] == "mcvd" and "video-prediction" in head["tags"]


def test_the_code_in_the_card_runs(card, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tiny_model(channels=3)
    model.frame_rate_hz = 10.0
    model.save_pretrained("drive")
    mcvd.write_video("clip.mp4", pixels(8, 3, 16, 16), fps=10)
    code = card[0].split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)
    assert names["future"].shape == (1, 20, 3, 16, 16) and names["future"].dtype == torch.uint8


def test_what_was_not_told_is_not_invented(tmp_path):
    tiny_model(channels=1, past=0, future=0, p=1.0).save_pretrained(tmp_path / "m")
    text = (tmp_path / "m" / "README.md").read_text()
    assert text.count("Not stated.") == 2 and "Not measured." in text
    assert "license:" not in text


def test_scores_that_are_none_are_refused(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match=r"other\.json is no result of `mcvd evaluate`"):
        tiny_model().save_pretrained(tmp_path / "m", scores=[tmp_path / "other.json"])
    assert not (tmp_path / "m").exists()
