"""A model as an environment with the interface of gymnasium, for agents that learn or plan in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcvd.models.video_model import VideoModel
from mcvd.runtime.arrays import Video, as_tensor

try:
    from gymnasium import Env
    from gymnasium.spaces import Box
except ModuleNotFoundError:
    raise ModuleNotFoundError("environments need gymnasium: python -m pip install 'mcvd[gym]'") from None

Reward = Callable[[np.ndarray, np.ndarray], float]
"""``reward(frames, action)``: of the new frames, uint8 (n, H, W, C), and the action, float32 (A,)."""


class VideoEnv(Env):
    """What a model thinks would happen: observations are its frames, actions are its signals.

    Each step is a call of `VideoModel.step`; the model sees the last frames of the episode, and what was done in them.

    Args:
        model: with signals.
        starts: uint8 (N, P, C, H, W), the frames that an episode can begin with.
        reward: of a step; None is always 0.
        frames_per_step: for how many frames an action is held; None is a block of the model.
        max_steps: after so many an episode is truncated.
        **options: of sampling, such as ``steps``; see `mcvd.diffusion.options.SamplingOptions`.

    Raises:
        ValueError: the model has no signals, or the frames are not its own.

    Observations are uint8 (H, W, C), the last frame; all new frames are ``info["frames"]``, uint8 (n, H, W, C).
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  # as gymnasium has it
    render_mode = "rgb_array"

    def __init__(
        self,
        model: VideoModel,
        starts: Video,
        reward: Reward | None = None,
        frames_per_step: int | None = None,
        max_steps: int = 20,
        **options: Any,
    ) -> None:
        if model.signals is None:
            raise ValueError("an environment needs a model with signals, which are its actions")
        self.model, self.options = model, {"progress": False, **options}
        self.starts = as_tensor(starts)
        shape = (model.channels, *model.size)
        if self.starts.ndim != 5 or tuple(self.starts.shape[2:]) != shape or not self.starts.shape[1]:
            raise ValueError(f"starts must be uint8 (N, P, C, H, W) with C, H, W = {shape}, got {self.starts.shape}")
        self.reward = reward
        self.frames_per_step = model.block.current if frames_per_step is None else frames_per_step
        self.max_steps = max_steps
        signals = model.signals
        low, high = signals.low or (-1.0,) * signals.size, signals.high or (1.0,) * signals.size
        self.action_space = Box(np.array(low, np.float32), np.array(high, np.float32))
        self.observation_space = Box(0, 255, (*model.size, model.channels), np.uint8)
        self._frames = self.starts[0]
        self._told = torch.zeros(0, signals.size)
        self._num_steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode with frames drawn from ``starts``, or with number ``options["start"]``."""
        super().reset(seed=seed)
        start = (options or {}).get("start")
        number = int(self.np_random.integers(len(self.starts))) if start is None else int(start)
        self._frames, self._num_steps = self.starts[number], 0
        self._told = torch.zeros(0, self._told.shape[1])
        return self._seen(self._frames)[-1], {"start": number}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """What happens when this is done: observation, reward, never the end, whether ``max_steps`` are over, info."""
        action = np.asarray(action, np.float32)
        rows = torch.from_numpy(action).expand(self.frames_per_step, -1)
        # Of the frames that an episode begins with nobody knows what was done: the same.
        before = self._told if len(self._told) else rows[:1].expand(len(self._frames), -1)
        told = torch.cat([before, rows])
        seed = int(self.np_random.integers(1 << 40))
        new = self.model.step(self._frames[None], told, len(rows), seed=seed, **self.options)[0]
        kept = max(1, self.model.block.past)
        self._frames, self._told = torch.cat([self._frames, new])[-kept:], told[-kept:]
        self._num_steps += 1
        frames = self._seen(new)
        reward = 0.0 if self.reward is None else float(self.reward(frames, action))
        return frames[-1], reward, False, self._num_steps >= self.max_steps, {"frames": frames}

    def render(self) -> np.ndarray:
        """The last frame, uint8 (H, W, C)."""
        return self._seen(self._frames)[-1]

    @staticmethod
    def _seen(frames: Tensor) -> np.ndarray:
        return frames.permute(0, 2, 3, 1).contiguous().numpy()
