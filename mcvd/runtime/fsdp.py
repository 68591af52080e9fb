"""Training with the weights shared out between processes (FSDP2): each keeps and updates its part of every weight.

Imports of `torch.distributed` take a second or two, so they happen where something is shared out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


class FSDP2Strategy(ModelParallelStrategy):
    """Lightning's strategy for FSDP2 over all processes of a run, with checkpoints that are single files.

    What is shared out, the model says in its ``configure_model``.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Now it is known how many processes there are."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def shard(module: nn.Module, mesh: DeviceMesh, *methods: str) -> None:
    """Share out the weights of a module, as one part, over the processes of a mesh of one dimension.

    Each process must hold the same weights. They are whole while one of the methods computes; what is kept between
    steps, weights, averages and moments of the optimiser, is shared out always. The networks of MCVD, up to 740 M
    parameters, fit a GPU as they are, so there is no need to let parts of them go before others are fetched.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    if isinstance(module, FSDPModule):
        return
    fully_shard(module, mesh=mesh)
    for method in methods:
        register_fsdp_forward_method(module, method)


@contextmanager
def unsharded(module: nn.Module) -> Iterator[None]:
    """All weights below a module are whole inside the ``with``, for uses that change none. All processes must ask."""
    unshard(module)
    try:
        yield
    finally:
        reshard(module)


def unshard(module: nn.Module) -> None:
    """Make weights that are shared out whole. All processes must ask."""
    for each in _shared(module):
        each.unshard()


def reshard(module: nn.Module) -> None:
    """Keep only the own part of weights that are shared out, if they are whole."""
    for each in _shared(module):
        each.reshard()


def _shared(module: nn.Module) -> list[Any]:
    return [each for each in module.modules() if hasattr(each, "unshard")]  # an FSDPModule, without importing it


def full_tensor(x: Tensor) -> Tensor:
    """A tensor that may be shared out, as a whole. All processes must ask."""
    shared: Any = x
    return shared.full_tensor() if hasattr(x, "full_tensor") else x  # a DTensor, without importing it


def full_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The state dict with whole tensors on the CPU in the first process, empty in the others. All must ask."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    state: Any = get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    return state


def load_full_state_dict(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict of whole tensors, which every process holds; each takes its part."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
