"""Where the CPU time of a process goes, by layer: what it is in is looked at every few milliseconds of CPU time.

A sample costs nothing between two of them, so that layers of many small calls do not seem dearer than they are. It
belongs to the innermost function that some layer knows; what a C function spends belongs to its caller.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SECONDS = 0.001  # the kernel's clock tick is the least, mostly 4 ms
OTHER = 'other'
Layers = Sequence[tuple[str, str, str]]


@contextmanager
def sampled(layers: Layers) -> Iterator[dict[str, int]]:
    """Counts the samples of each layer meanwhile. layers: a part of a file's path, a function or '', and the layer."""
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
