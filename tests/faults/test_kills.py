"""A training that is killed at random instants, again and again."""

from faults.kills import run_kills

SHORT_MOMENTS = {"writing a checkpoint", "in validation"}


def test_a_training_killed_twenty_times_is_the_training_that_nobody_disturbed(tmp_path):
    seen = [kill.moment for kill in run_kills(tmp_path, 20)]
    assert len(seen) == 20
    if not set(seen) >= SHORT_MOMENTS:  # twenty aims can all miss a short moment where the machine is busy
        again = tmp_path / "again"
        again.mkdir()
        seen += [kill.moment for kill in run_kills(again, 20, seed=1)]
    assert set(seen) >= SHORT_MOMENTS
