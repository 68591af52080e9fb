from faults.kills import run_kills


def test_a_training_killed_twenty_times_is_the_training_that_nobody_disturbed(tmp_path):
    kills = list(run_kills(tmp_path, 20))
    assert len(kills) == 20
    assert {"writing a checkpoint", "in validation"} <= {kill.moment for kill in kills}
