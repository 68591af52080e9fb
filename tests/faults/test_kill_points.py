"""Sixty kills of the recorded run (``python -m faults --points 1000``), fewer of the commands that take longer."""

import pytest

from faults.kill_points import COMMANDS, kill_and_resume, make_inputs, points, undisturbed

KILLS = {"prepare": 20, "export": 4, "convert": 4, "evaluate": 2, "data pack": 4, "fit, cached, with previews": 5}
KILLS |= {"fit in two processes": 1, "generate in two processes": 4}
OTHERS = 4


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "inputs"
    make_inputs(folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_killed_before_any_change_is_done_by_running_it_again(command, inputs, tmp_path):
    reference = tmp_path / "undisturbed"
    changes = undisturbed(command, reference, inputs)
    for point in points(changes, KILLS.get(command.name, OTHERS), seed=23):
        kill_and_resume(command, tmp_path / f"killed-{point[0]}-{point[1]}", inputs, point, reference)
