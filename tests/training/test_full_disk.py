"""A disk that takes no more, by the limit of the system on the size of files: one plain line, and nothing half done."""

from contextlib import contextmanager

import pytest
import torch
from reference.tiny import tiny_model

from mcvd.models.codecs.autoencoders import write_autoencoder
from mcvd.training.checkpoint_io import AtomicCheckpointIO

resource = pytest.importorskip("resource", reason="no limit on the size of files on this system")
WEIGHTS = {"weight": torch.zeros(50_000)}


@contextmanager
def files_of_at_most(num_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITES = {
    "a checkpoint": lambda path: AtomicCheckpointIO().save_checkpoint(WEIGHTS, path),
    "a model": lambda path: tiny_model(past=2).save_pretrained(path),
    "a codec": lambda path: write_autoencoder(path, "VQModel", {}, WEIGHTS, {}),
}


@pytest.mark.parametrize("what", WRITES)
def test_what_cannot_be_written_is_told_in_plain_words(what, tmp_path):
    with files_of_at_most(60_000), pytest.raises(OSError, match="cannot write") as told:
        WRITES[what](tmp_path / "out")
    words = str(told.value)
    assert str(tmp_path / "out") in words and ("the disk takes no more" in words or "File too large" in words)
    assert not any(word in words for word in ("PytorchStreamWriter", "serializ", "os error", "unexpected pos", "\n"))
    assert not [*tmp_path.iterdir()]
