"""What is known of a model."""

import json

from reference.tiny import tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.main import main


def test_what_a_model_cannot_do_is_told_with_the_reason():
    facts = mcvd.build(tiny_config(future=0, p=0.0)).facts().to_json()
    assert facts["tasks"]["predict"] is None
    assert "no future slot" in facts["tasks"]["interpolate"]
    assert "never drew" in facts["tasks"]["generate"]
    assert not facts["guidance"]


def test_the_command_prints_for_people_and_for_scripts(tmp_path, capsys):
    tiny_model().save_pretrained(tmp_path / "model")
    assert main(["info", str(tmp_path / "model")]) == 0
    told = capsys.readouterr().out
    assert "2 past | 3 current | 2 future" in told and "on the context never" in told
    assert main(["info", str(tmp_path / "model"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["block"] == {"past": 2, "current": 3, "future": 2}
    assert set(facts["tasks"].values()) == {None}
