"""Entries of a codebook that nothing is coded as are given another chance."""

from pathlib import Path

import torch

from mcvd.runtime.distributed import rank, spawn
from mcvd.training.codebook import PATIENCE, Codebook


def step(codebook, entries, latents):
    flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
    codebook.renew(entries, latents, torch.cdist(flat, entries).argmin(1))


def test_entries_that_nothing_is_near_to_become_latents():
    latents = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    entries = torch.cat([torch.zeros(1, 3), 100 + torch.arange(7.0)[:, None].expand(7, 3)])
    codebook = Codebook(8)
    before = entries.clone()
    for _ in range(PATIENCE - 1):
        step(codebook, entries, latents)
    assert torch.equal(entries, before)
    step(codebook, entries, latents)
    assert torch.equal(entries[0], before[0])  # it was used in every step
    flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
    assert (torch.cdist(entries[1:], flat).amin(1) < 1e-6).all()
    assert len(entries.unique(dim=0)) == 8


def test_an_entry_that_is_used_now_and_then_stays():
    entries = torch.tensor([[0.0], [10.0]])
    codebook = Codebook(2)
    for number in range(3 * PATIENCE):
        step(codebook, entries, torch.full((1, 1, 2, 2), 10.0 if number % (PATIENCE - 1) == 0 else 0.0))
    assert torch.equal(entries, torch.tensor([[0.0], [10.0]]))


def test_weights_from_before_entries_were_counted_are_loaded():
    codebook = Codebook(2)
    codebook.load_state_dict({})
    assert codebook.unused_steps.tolist() == [0, 0]
    codebook.load_state_dict({"unused_steps": torch.tensor([3, 4])})
    assert codebook.unused_steps.tolist() == [3, 4]


def _share(folder: str) -> None:
    entries, codebook = torch.tensor([[0.0], [10.0], [20.0]]), Codebook(3)
    for _ in range(PATIENCE):
        nearest = torch.full((4,), rank())  # the first process uses entry 0, the second entry 1
        codebook.renew(entries, torch.full((1, 1, 2, 2), 5.0 + rank()), nearest)
    torch.save(entries, Path(folder) / f"{rank()}.pt")


def test_processes_agree(tmp_path):
    """An entry is used if any process uses it, and all take what the first one has."""
    spawn(_share, 2, folder=str(tmp_path))
    for number in range(2):
        assert torch.equal(torch.load(tmp_path / f"{number}.pt"), torch.tensor([[0.0], [10.0], [5.0]]))
