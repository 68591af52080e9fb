"""The moving average of the weights."""

from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from mcvd.training.ema import EMA, averaged_weights

DECAY = 0.9


class Counter(LightningModule):
    """One weight that each step raises by 1; ``fault`` names a hook that raises."""

    def __init__(self, fault=None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.fault, self.validated = fault, []

    def training_step(self, batch, batch_idx):
        return -self.weight

    def validation_step(self, batch, batch_idx):
        self.validated.append(self.weight.item())
        if self.fault is not None and len(self.validated) == 2:
            raise self.fault

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def test_averages_live_where_the_training_does_and_no_update_waits_for_it():
    model, ema = Counter(), EMA(DECAY, warmup=False)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    ema.setup(trainer, model, "fit")  # the model is brought to its device after this, as in Lightning
    averages = ema._average_model
    assert averages.module.weight.device.type == "meta" and averages.n_averaged.device.type == "cpu"
    for _ in range(2):
        averages.update_parameters(model.to("meta"))  # a number of a meta tensor cannot be asked for


def test_what_is_counted_and_not_trained_is_copied_and_not_averaged():
    model, ema = Counter(), EMA(DECAY, warmup=False)
    model.register_buffer("seen", torch.zeros(()))
    ema.setup(SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu"))), model, "fit")
    for number in (3.0, 7.0):
        model.seen.fill_(number)
        ema._average_model.update_parameters(model)
        assert ema._average_model.module.seen.item() == number


def train(tmp_path, model, ema, num_steps=4, ckpt_path=None):
    trainer = Trainer(
        max_steps=num_steps,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        callbacks=[ema],
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    batches = DataLoader(torch.zeros(64))
    val = DataLoader(torch.zeros(1))
    trainer.fit(model, batches, val, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def averages(num_steps):
    """The law: the average is the first weight, then ``decay * average + (1 - decay) * weight``."""
    values = [1.0]
    for step in range(2, num_steps + 1):
        values.append(DECAY * values[-1] + (1 - DECAY) * step)
    return values


def saved(trainer, tmp_path):
    trainer.save_checkpoint(tmp_path / "now.ckpt")
    checkpoint = torch.load(tmp_path / "now.ckpt", weights_only=True)
    return checkpoint["state_dict"]["weight"].item(), checkpoint["current_model_state"]["weight"].item()


def test_the_average_follows_the_known_sequence_and_is_what_is_validated_and_left_in_the_model(tmp_path):
    model = Counter()
    train(tmp_path, model, EMA(DECAY, warmup=False))
    expected = averages(4)
    assert model.validated == pytest.approx([expected[1], expected[3]])
    assert model.weight.item() == pytest.approx(expected[3])


def test_with_warmup_the_average_looks_back_over_a_tenth_of_the_steps(tmp_path):
    model = Counter()
    train(tmp_path, model, EMA(0.9), num_steps=4)
    average = 1.0
    for step in (2, 3, 4):
        decay = min(0.9, step / (9 + step))
        average = decay * average + (1 - decay) * step
    assert model.weight.item() == pytest.approx(average)


def test_a_checkpoint_written_after_the_training_still_tells_averages_from_raw_weights(tmp_path):
    trainer = train(tmp_path, Counter(), EMA(DECAY, warmup=False))
    assert saved(trainer, tmp_path) == pytest.approx((averages(4)[3], 4.0))


@pytest.mark.parametrize("fault", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_exception_within_validation_leaves_and_saves_the_raw_weights_in_their_place(tmp_path, fault):
    model, ema = Counter(fault), EMA(DECAY, warmup=False)
    with pytest.raises((RuntimeError, SystemExit)):
        train(tmp_path, model, ema)
    assert model.weight.item() == 4.0
    assert saved(model.trainer, tmp_path) == pytest.approx((averages(4)[3], 4.0))


def test_a_checkpoint_written_within_validation_is_not_exchanged(tmp_path):
    class Saving(Counter):
        def validation_step(self, batch, batch_idx):
            self.found = saved(self.trainer, tmp_path)

    model = Saving()
    train(tmp_path, model, EMA(DECAY, warmup=False), num_steps=2)
    assert model.found == pytest.approx((averages(2)[1], 2.0))


def test_a_second_training_of_the_same_model_goes_on_with_its_raw_weights(tmp_path):
    model, ema = Counter(), EMA(DECAY, warmup=False)
    train(tmp_path, model, ema)
    trainer = train(tmp_path, model, ema, num_steps=2)
    assert saved(trainer, tmp_path)[1] == 4 + 2  # not what was left in the model, the average of the first four


def test_a_resumed_average_goes_on_where_it_was(tmp_path):
    trainer = train(tmp_path, Counter(), EMA(DECAY, warmup=False), num_steps=3)
    trainer.save_checkpoint(tmp_path / "three.ckpt")
    model = Counter()
    train(tmp_path, model, EMA(DECAY, warmup=False), num_steps=6, ckpt_path=tmp_path / "three.ckpt")
    assert model.weight.item() == pytest.approx(averages(6)[5])


def test_averaged_weights_are_lent_for_a_moment_only(tmp_path):
    lent = []

    class Borrowing(Counter):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            with pytest.raises(OSError, match="inside"), averaged_weights(self.trainer, self):
                lent.append(self.weight.item())
                raise OSError("inside")
            lent.append(self.weight.item())

    train(tmp_path, Borrowing(), EMA(DECAY, warmup=False), num_steps=2)
    assert lent == pytest.approx([1.0, 1.0, averages(2)[1], 2.0])


def test_averaged_weights_that_are_lent_within_validation_stay(tmp_path):
    class Borrowing(Counter):
        def validation_step(self, batch, batch_idx):
            with averaged_weights(self.trainer, self):
                pass
            super().validation_step(batch, batch_idx)

    model = Borrowing()
    train(tmp_path, model, EMA(DECAY, warmup=False), num_steps=2)
    assert model.validated == pytest.approx([averages(2)[1]])


def test_a_decay_of_one_or_more_is_refused():
    with pytest.raises(ValueError, match="below 1"):
        EMA(1.0)
