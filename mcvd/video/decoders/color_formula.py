"""Stored samples to RGB by the defining formulas: for what FFmpeg's scaler converts wrongly or not at all.

Y'CbCr of the usual matrices in 8 bits is not converted here but by the scaler, which is faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# FFmpeg's number of a matrix -> the shares of red and blue in brightness.
LUMA_SHARES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
YCGCO = 8
PQ, HLG = 16, 18
# Brightness of white in SDR, and of the brightest pixel that is mapped, in cd/m2 (BT.2408, BT.2100).
WHITE_NITS, PEAK_NITS = 203.0, 1000.0
SDR_GAMMA = 2.4
# FFmpeg's number of the primaries -> matrix from linear light in them to BT.709's.
_TO_BT709 = {
    9: [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    12: [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]],
}


@dataclass(frozen=True)
class Formula:
    """How samples become RGB.

    Args:
        bits: of a sample.
        is_rgb, is_grey: what the planes are: R, G, B; one of brightness; else Y, Cb, Cr.
        is_full: whether samples use all values, or those of broadcasting (16 to 235 of 255).
        matrix: FFmpeg's number of the Y'CbCr matrix, of `LUMA_SHARES` or `YCGCO`.
        transfer: `PQ`, `HLG` or another number, which means SDR.
        primaries: FFmpeg's number of the primaries; only HDR is converted to BT.709's.
    """

    bits: int
    is_rgb: bool
    is_grey: bool
    is_full: bool
    matrix: int
    transfer: int
    primaries: int

    def __call__(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """RGB of SDR, float32 (3, H, W) in [0, 1].

        Args:
            planes: float32 (3, H, W) or (1, H, W), stored samples.
        """
        rgb = self._signal(planes)
        if self.transfer in (PQ, HLG):
            return tone_mapped(rgb, self.transfer, self.primaries)
        return rgb.clip(0, 1)

    def _signal(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        unit, full = 2.0 ** (self.bits - 8), 2.0**self.bits - 1
        if self.is_rgb or self.is_grey:
            rgb = planes / full if self.is_full else (planes - 16 * unit) / (219 * unit)
            return np.broadcast_to(rgb, (3, *rgb.shape[1:])).astype(np.float32)
        brightness_scale, color_scale = (full, full) if self.is_full else (219 * unit, 224 * unit)
        offset = np.array([0 if self.is_full else 16 * unit, 128 * unit, 128 * unit])
        matrix = _to_rgb(self.matrix) / [brightness_scale, color_scale, color_scale]
        shift = (matrix @ offset).astype(np.float32)
        signal = matrix.astype(np.float32) @ planes.reshape(3, -1)
        signal -= shift[:, None]
        return signal.reshape(planes.shape)


def _to_rgb(matrix: int) -> np.ndarray:
    """From (Y, Cb, Cr), colours in [-0.5, 0.5], to R, G, B: float64 (3, 3)."""
    if matrix == YCGCO:  # Cb holds Cg, Cr holds Co
        return np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
    red, blue = LUMA_SHARES[matrix]
    from_red, from_blue = 2 - 2 * red, 2 - 2 * blue
    green = 1 - red - blue
    return np.array([[1, 0, from_red], [1, -from_blue * blue / green, -from_red * red / green], [1, from_blue, 0]])


def tone_mapped(rgb: NDArray[np.float32], transfer: int, primaries: int) -> NDArray[np.float32]:
    """HDR to SDR: the brightness curve of BT.2390 from 1000 to 203 cd/m2, in BT.709's primaries and gamma 2.4.

    Light up to about 95 cd/m2 keeps its brightness; what is brighter is compressed, by the same factor in red, green
    and blue, so that hues stay; what is brighter than 1000 cd/m2 becomes white's brightness, and colours outside of
    BT.709's are cut off.

    Args:
        rgb: float32 (3, H, W), the signal of PQ or HLG.
        transfer: `PQ` or `HLG`.
        primaries: FFmpeg's number; others than 1 (BT.709) and 12 (Display P3) are taken for BT.2020's.

    Returns:
        float32 (3, H, W) in [0, 1].
    """
    signal = rgb.clip(0, 1).astype(np.float32)
    light = _pq_nits(signal) if transfer == PQ else _hlg_nits(signal)
    if primaries != 1:
        matrix = np.array(_TO_BT709[12 if primaries == 12 else 9], np.float32)
        light = (matrix @ light.reshape(3, -1)).reshape(light.shape)
    light = light.clip(0, None)
    brightest = light.max(0)
    scale = _compressed_nits(brightest.clip(1e-4, PEAK_NITS)) / brightest.clip(1e-4, None)
    return ((light * scale / WHITE_NITS).clip(0, 1) ** (1 / SDR_GAMMA)).astype(np.float32)


def _pq_nits(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, in cd/m2."""
    power = signal ** (1 / 78.84375)
    return 10000 * ((power - 0.8359375).clip(0, None) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def _pq_signal(nits: np.ndarray | float) -> np.ndarray:
    power = (np.asarray(nits) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _hlg_nits(signal: np.ndarray) -> np.ndarray:
    """BT.2100: scene light, and what a display of 1000 cd/m2 makes of it (gamma 1.2 of the brightness)."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    brightness = np.tensordot(np.array([0.2627, 0.6780, 0.0593]), scene, 1)
    return PEAK_NITS * brightness.clip(1e-6, None) ** 0.2 * scene


def _compressed_nits(nits: np.ndarray) -> np.ndarray:
    """BT.2390's curve: a straight line up to a knee, then a Hermite spline, both in PQ."""
    peak = float(_pq_signal(PEAK_NITS))
    white = float(_pq_signal(WHITE_NITS)) / peak
    knee = 1.5 * white - 0.5
    signal = _pq_signal(nits) / peak
    t = (signal - knee).clip(0, None) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * white
    return _pq_nits(np.where(signal < knee, signal, spline) * peak)
