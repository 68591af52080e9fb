"""The same network computed the plain way: what the speed of mcvd is measured against.

Explicit attention (two einsums and a softmax), generic FIR resampling (zeros between the pixels, padding, a full
convolution at the higher resolution), norms that scale and shift in passes of their own, contiguous float32 tensors,
and the maps of the context computed anew in every call. The weights are those of the given network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.nets import UNet
from mcvd.nets.attention import Attention
from mcvd.nets.blocks import ResBlock
from mcvd.nets.conditioning import AbstractNorm, context_planes
from mcvd.nets.context import Context
from mcvd.nets.layers import num_groups

FILTER = (1.0, 3.0, 3.0, 1.0)


def plain_forward(net: UNet, noisy: Tensor, label: Tensor, context: Tensor, keep: Tensor) -> Tensor:
    """What the network answers for one sample of each condition, whose `mcvd.nets.Context` is (context, keep).

    Args:
        net: any, in evaluation mode or with no dropout; its weights are read, never changed.
        noisy: float (B, N, C, H, W).
        label: float (B,).
        context: float (B, P + F, C, H, W), masked frames already zero.
        keep: bool (B, P + F).

    Returns:
        float (B, N, C, H, W).
    """
    if net.past_embedding is not None:
        raise ValueError("the plain path knows no past_embedding")
    planes = context_planes(Context(context, keep), net.conditioning)
    x = noisy.flatten(1, 2)
    if net.first.in_channels > x.shape[1]:
        x = torch.cat([x, planes], dim=1)
    embedding = _embed(net, label)
    h = net.first(x)
    skips = [h]
    for down in net.down:
        for block, attention in zip(down.blocks, down.attentions, strict=True):
            skips.append(_attend(attention, _block(block, skips[-1], embedding, planes)))
        if down.downsample is not None:
            skips.append(_block(down.downsample, skips[-1], embedding, planes))
    h = _block(net.middle.block0, skips[-1], embedding, planes)
    h = _block(net.middle.block1, _attend(net.middle.attention, h), embedding, planes)
    for up in reversed(net.up):
        for block in up.blocks:
            h = _block(block, torch.cat([h, skips.pop()], dim=1), embedding, planes)
        h = _attend(up.attention, h)
        if up.upsample is not None:
            h = _block(up.upsample, h, embedding, planes)
    h = F.silu(_norm(net.final_norm, h, planes))
    return net.last(h).unflatten(1, noisy.shape[1:3])


def _embed(net: UNet, label: Tensor) -> Tensor:
    half = net.width // 2
    rate = torch.exp(torch.arange(half, dtype=label.dtype, device=label.device) * (-math.log(10000) / (half - 1)))
    angle = label[:, None] * rate[None]
    waves = torch.cat([angle.sin(), angle.cos()], dim=1)
    waves = F.pad(waves, (0, net.width - waves.shape[1]))
    return F.silu(net.embed1(F.silu(net.embed0(waves))))


def _block(block: ResBlock, x: Tensor, embedding: Tensor, planes: Tensor) -> Tensor:
    resample = _resampling(block)
    h = F.silu(_norm(block.norm0, x, planes, block.embed0(embedding)))
    h = block.conv0(resample(h))
    h = F.silu(_norm(block.norm1, h, planes, block.embed1(embedding)))
    h = block.conv1(F.dropout(h, block.dropout.p, block.training))
    return (block.skip(resample(x)) + h) / math.sqrt(2)


def _norm(norm: AbstractNorm, x: Tensor, planes: Tensor, steer: Tensor | None = None) -> Tensor:
    groups = num_groups(x.shape[1])
    if norm.map_channels:
        size = [side >> norm.level for side in planes.shape[2:]]
        hidden = F.silu(norm.hidden(F.interpolate(planes, size, mode="nearest")))
        gamma, beta = norm.gamma_beta(hidden).chunk(2, dim=1)
        x = F.group_norm(x, groups, eps=1e-6) * (1 + gamma) + beta
    else:
        x = F.group_norm(x, groups, norm.weight, norm.bias, eps=1e-5)
    if steer is None:
        return x
    scale, shift = steer[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift


def _attend(attention: Attention | nn.Identity, x: Tensor) -> Tensor:
    if isinstance(attention, nn.Identity):
        return x
    batch, channels, height, width = x.shape
    heads = attention.num_heads
    positions = attention.norm(x).reshape(batch, channels, height * width).permute(0, 2, 1)
    query, key, value = attention.qkv(positions).reshape(batch, height * width, 3, heads, -1).unbind(2)
    scores = torch.einsum("bqhc,bkhc->bhqk", query, key) / math.sqrt(channels // heads)
    seen = torch.einsum("bhqk,bkhc->bqhc", scores.softmax(dim=-1), value)
    h = attention.out(seen.reshape(batch, height * width, channels))
    return (x + h.permute(0, 2, 1).reshape(x.shape)) / math.sqrt(2)


def _resampling(block: ResBlock):
    if block.resample is None:
        return lambda x: x
    return _downsample if block.norm1.level > block.norm0.level else _upsample


def _filtered(x: Tensor, gain: float) -> Tensor:
    """A full convolution of every channel by itself, stride 1, without border."""
    row = torch.tensor(FILTER, dtype=x.dtype, device=x.device)
    kernel = torch.outer(row, row) * (gain / row.sum() ** 2)
    batch, channels, height, width = x.shape
    wide = F.conv2d(x.reshape(batch * channels, 1, height, width), kernel[None, None])
    return wide.reshape(batch, channels, *wide.shape[2:])


def _downsample(x: Tensor) -> Tensor:
    return _filtered(F.pad(x, (1, 1, 1, 1)), 1.0)[:, :, ::2, ::2]


def _upsample(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    spread = x.reshape(batch, channels, height, 1, width, 1)
    spread = F.pad(spread, (0, 1, 0, 0, 0, 1)).reshape(batch, channels, 2 * height, 2 * width)
    return _filtered(F.pad(spread, (2, 1, 2, 1)), 4.0)
