"""Lines of a training that nobody watches."""

from types import SimpleNamespace

import torch

from mcvd.training.step_lines import StepLines


def lines_of(num_steps, max_steps, seconds_a_step, first_step=0, every=50):
    """What a training of so many steps tells, without the training."""
    lines, clock = [], [0.0]
    callback = StepLines(lines.append, lambda: clock[0])
    metrics = {"train/loss": torch.tensor(0.25), "val/loss": torch.tensor(0.5)}
    trainer = SimpleNamespace(  # all that it asks a trainer
        global_step=first_step,
        max_steps=max_steps,
        log_every_n_steps=every,
        is_global_zero=True,
        callback_metrics=metrics,
    )
    callback.on_train_start(trainer, None)
    for _ in range(num_steps):
        trainer.global_step += 1
        clock[0] += seconds_a_step
        callback.on_train_batch_end(trainer, None, None, 0)
    return lines


def test_the_first_line_comes_soon_and_tells_loss_pace_and_time_left():
    assert lines_of(60, 1000, 0.5) == ["step 50 of 1000: loss 0.2500, validation 0.5000, 2.0 steps/s, 07:55 left"]


def test_a_resumed_training_is_timed_from_where_it_stood():
    (line,) = lines_of(50, 1000, 2.0, first_step=900)
    assert line.startswith("step 950 of 1000") and line.endswith("2.0 s a step, 01:40 left")


def test_lines_are_a_minute_and_a_hundredth_of_the_training_apart():
    steps = [int(line.split()[1]) for line in lines_of(1000, 1000, 0.5)]
    assert steps == [50, *range(200, 1000, 150)]  # 120 steps take a minute, and every 50th is logged
    assert 95 <= len(lines_of(20_000, 20_000, 60.0)) <= 100


def test_a_training_that_ends_by_time_tells_no_time_left():
    assert lines_of(50, -1, 1.0) == ["step 50: loss 0.2500, validation 0.5000, 1.0 steps/s"]
