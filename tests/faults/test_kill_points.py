"""Sixty kills of the recorded run (``python -m faults --points 1000``), fewer of the commands that take longer."""

import pytest

from faults.commands import COMMANDS, make_inputs, preload
from faults.kill_points import kill_and_repeat, points, undisturbed
from faults.recorded import plan

KILLS = {
    "prepare": 36,
    "fit-codec": 3,
    "data encode": 10,
    "export": 3,
    "convert": 3,
    "evaluate": 1,
    "fit, cached, with previews": 1,
}
SLOW = ("fit in two processes (DDP)", "predict with --processes 2")  # they are in the recorded run
OTHERS = 2


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "inputs"
    make_inputs(folder)
    preload(folder)
    return folder


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.name not in SLOW], ids=lambda command: command.name
)
def test_a_command_killed_before_any_change_is_done_by_running_it_again(command, inputs, tmp_path):
    reference = tmp_path / "undisturbed"
    changes = undisturbed(command, reference, inputs)
    for number, point in enumerate(points(changes, KILLS.get(command.name, OTHERS), seed=23)):
        assert kill_and_repeat(command, tmp_path / f"killed-{number}", inputs, [point], reference) == 1


def test_a_command_that_is_repeated_may_be_killed_again(inputs, tmp_path):
    (prepare,) = (command for command in COMMANDS if command.name == "prepare")
    undisturbed(prepare, tmp_path / "undisturbed", inputs)
    twice = [(0, 20), (0, 3)]
    assert kill_and_repeat(prepare, tmp_path / "killed", inputs, twice, tmp_path / "undisturbed") == 2


def test_the_recorded_run_is_spread_over_all_commands_and_all_their_changes():
    changes = {command.name: [40] * command.world_size for command in COMMANDS}
    planned = plan(changes, 1000, seed=0)
    assert planned == plan(changes, 1000, seed=0)
    assert 1000 <= sum(len(points) for _, points in planned) <= 1001
    for command in COMMANDS:
        mine = [points for name, points in planned if name == command.name]
        once = [points for points in mine if len(points) == 1]
        assert len({*once}) == min(len(mine), sum(changes[command.name]))
