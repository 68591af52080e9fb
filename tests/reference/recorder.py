"""A training that remembers its clips, to see whether a resumed one goes on with the next."""

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class Recorder(LightningModule):
    """Remembers the clips it was trained on."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated, self.fail_at = [], [], fail_at

    def training_step(self, batch, batch_idx):
        if len(self.seen) == self.fail_at:
            raise RuntimeError("power cut")
        self.seen.append(batch["index"].tolist())
        return self.weight * batch["video"].float().mean()

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch["index"].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, data, max_epochs, callbacks=(), ckpt_path=None, fail_at=None, **options):
    model = Recorder(fail_at)
    trainer = Trainer(
        default_root_dir=folder,
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        callbacks=list(callbacks),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **options,
    )
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
    return model


def flat(batches):
    return [index for batch in batches for index in batch]


def every_step(folder):
    """Keeps a checkpoint of every step, written in on_train_batch_end."""
    return ModelCheckpoint(folder, "step-{step}", every_n_train_steps=1, save_top_k=-1, auto_insert_metric_name=False)
