"""Entries of a codebook that nothing is coded as are given another chance."""

import torch

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


def test_processes_agree():
    """An entry is used if any process uses it, and all take what the first one has."""
    entries = torch.tensor([[0.0], [10.0], [20.0]])
    codebook = Codebook(3)
    found, nearest, of_another = (
        torch.zeros(1, 1, 2, 2),
        torch.zeros(4, dtype=torch.long),
        torch.tensor([0.0, 1.0, 0.0]),
    )
    for _ in range(PATIENCE):
        codebook.renew(entries, found, nearest, lambda used: used + of_another, lambda chosen: chosen + 5)
    assert torch.equal(entries, torch.tensor([[0.0], [10.0], [5.0]]))
