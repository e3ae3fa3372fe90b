"""Sound that was never in a file, encoded for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # of AAC, up to what players take
_BITS = 96_000  # a second and channel


@dataclass(frozen=True, slots=True)
class MadeSound:
    """AUDIO of the host, to be written as AAC.

    Attributes:
        wave: (channels, samples) float32.
        rate: samples a second.
    """

    wave: np.ndarray
    rate: int

    @classmethod
    def read(cls, audio: dict[str, Any]) -> MadeSound:
        """Check what a node was given, of which the first of a batch counts.

        Raises:
            ValueError: no sound, a number of channels that players do not know, or NaN.
        """
        if not len(audio["waveform"]):
            raise ValueError("audio: the batch is empty. Connect sound, or nothing.")
        wave = audio["waveform"][0].float().cpu().contiguous().numpy()
        if not wave.size or wave.shape[0] not in _LAYOUTS:
            raise ValueError(
                f"audio: has {wave.shape[0]} channels and {wave.shape[-1]} samples. Connect sound with 1, 2 or 6 "
                "channels."
            )
        if not np.isfinite(wave).all():
            raise ValueError("audio: holds NaN or infinite values. Make it again without them.")
        return cls(wave, int(audio["sample_rate"]))

    def most_bytes(self, until: Fraction) -> int:
        """About how many bytes ``encoding`` gives, at most."""
        return round(self.wave.shape[0] * _BITS / 8 * min(until, Fraction(self.wave.shape[1], self.rate)))

    def encoding(self, output: av.container.OutputContainer, until: Fraction) -> Iterator[av.Packet]:
        """Add a stream to a file, and return its packets; what is later than ``until``, in seconds, is left out."""
        channels, rate = self.wave.shape[0], min(_RATES, key=lambda known: (known < self.rate, abs(known - self.rate)))
        stream = output.add_stream("aac", rate=rate, layout=_LAYOUTS[channels])
        stream.bit_rate = _BITS * channels
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(self.wave[:, : round(until * self.rate)]), format="fltp", layout=_LAYOUTS[channels]
        )
        frame.sample_rate, frame.pts, frame.time_base = self.rate, 0, Fraction(1, self.rate)
        return self._packets(stream, frame, rate)

    def _packets(self, stream: Any, whole: av.AudioFrame, rate: int) -> Iterator[av.Packet]:
        fitting = av.AudioResampler(format="fltp", layout=whole.layout, rate=rate)
        for frame in (*fitting.resample(whole), *fitting.resample(None)):
            yield from stream.encode(frame)
        yield from stream.encode(None)
