"""The entries of a codebook that nothing is coded as: without help most stay so, and the codec has few words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mcvd.runtime.distributed import rank, sum_over_processes

PATIENCE = 50  # steps


class Codebook(nn.Module):
    """Counts how long each entry was not used, and moves those that are not to latents of today.

    An entry is learned from the latents that are nearest to it alone, so one that is far from all of them never moves
    (Dhariwal et al. 2020, arXiv 2005.00341, restart such entries at random; here evenly spaced latents of a batch are
    taken, which needs no random numbers).

    Args:
        num_entries: K.
    """

    unused_steps: Tensor

    def __init__(self, num_entries: int):
        super().__init__()
        self.register_buffer("unused_steps", torch.zeros(num_entries, dtype=torch.long))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Weights from before entries were counted are loaded too: as if all had just been used."""
        state_dict.setdefault(prefix + "unused_steps", self.unused_steps)
        super()._load_from_state_dict(state_dict, prefix, *others)

    @torch.no_grad()
    def renew(self, entries: Tensor, latents: Tensor, nearest: Tensor) -> Tensor:
        """Count one step; after `PATIENCE` steps without use in any process an entry becomes a latent of the first.

        Args:
            entries: float (K, c), changed in place.
            latents: float (N, c, h, w), of this step.
            nearest: the numbers of the entries that they are coded as, int64.

        Returns:
            Which entries were moved, bool (K,): what was averaged over their old places says nothing of the new ones.
        """
        used = torch.zeros(len(entries), device=entries.device)
        used[nearest.flatten()] = 1.0
        self.unused_steps += 1
        self.unused_steps[sum_over_processes(used) > 0] = 0
        is_dead = self.unused_steps >= PATIENCE
        if num_dead := int(is_dead.sum()):
            flat = latents.permute(0, 2, 3, 1).flatten(0, 2).to(entries.dtype)  # (N h w, c)
            places = torch.linspace(0, len(flat) - 1, num_dead, device=flat.device).round().long()
            entries[is_dead] = sum_over_processes(flat[places] if rank() == 0 else torch.zeros_like(flat[places]))
            self.unused_steps[is_dead] = 0
        return is_dead
