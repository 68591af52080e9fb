"""Sixty kills of the recorded run (``python -m faults --points 1000``), fewer of the commands that take longer."""

import pytest

from faults.kill_points import COMMANDS, kill_and_resume, make_inputs, points, undisturbed

KILLS = {"prepare": 36, "export": 3, "convert": 3, "evaluate": 1, "fit, cached, with previews": 3}
SHORT = [command for command in COMMANDS if command.name != "fit in two processes"]  # it is in the recorded run
OTHERS = 2


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "inputs"
    make_inputs(folder)
    return folder


@pytest.mark.parametrize("command", SHORT, ids=lambda command: command.name)
def test_a_command_killed_before_any_change_is_done_by_running_it_again(command, inputs, tmp_path):
    reference = tmp_path / "undisturbed"
    changes = undisturbed(command, reference, inputs)
    for point in points(changes, KILLS.get(command.name, OTHERS), seed=23):
        kill_and_resume(command, tmp_path / f"killed-{point[0]}-{point[1]}", inputs, point, reference)
