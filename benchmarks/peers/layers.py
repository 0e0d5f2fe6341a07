"""A sampling profiler: the CPU time of a process by layer, sampled every few milliseconds of CPU time.

Sampling adds no cost per call, so layers with many small calls are not overrated. A sample counts for the innermost
function that belongs to a layer. The time of a C function counts for its caller.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SECONDS = 0.001  # rounded up to the kernel's clock tick, usually 4 ms
OTHER = 'other'
Layers = Sequence[tuple[str, str, str]]


@contextmanager
def sampled(layers: Layers) -> Iterator[dict[str, int]]:
    """Count the samples of each layer during the block. layers: part of a file path, function name or '', layer."""
    counts: dict[str, int] = {}
    known: dict[tuple[str, str], str] = {}

    def layer_of(frame: FrameType) -> str:
        key = frame.f_code.co_filename, frame.f_code.co_name
        if key not in known:
            fits = (layer for part, function, layer in layers if part in key[0] and function in ('', key[1]))
            known[key] = next(fits, '')
        return known[key]

    def sample(number: int, frame: FrameType | None) -> None:
        while frame and not layer_of(frame):
            frame = frame.f_back
        layer = layer_of(frame) if frame else OTHER
        counts[layer] = counts.get(layer, 0) + 1

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
    try:
        yield counts
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
