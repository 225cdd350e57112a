"""Which image is asked for next, and how large it is. Pure: seeded, and without a clock.

A hit asks for an image that was written within the TTL, a miss for one that never was, and then writes it. So the
share of hits is the one that was wanted, whatever the cache does; where it answers a hit with nothing (evicted,
expired, or lost), the report counts that apart, and the image is written again.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

_ASK = "SIZES is {given}; allowed are a number of bytes, lognormal:MEDIAN:SIGMA, or BYTES=SHARE,BYTES=SHARE,…"
SIZE_MIN_BYTES = 64
"""The head of each value names its key."""


class WrongWorkload(ValueError):
    """What was asked for cannot be done; the text says what can."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image, as a table of equally likely ones: a distribution is cut into so many parts."""

    table: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Sizes:
        """`1000000`, `lognormal:700000:0.5` or `100000=0.5,2000000=0.5`. Raises WrongWorkload."""
        try:
            if text.startswith("lognormal:"):
                _, median, sigma = text.split(":")
                source = random.Random(1)  # noqa: S311 - a load, not a secret
                drawn = (round(float(median) * source.lognormvariate(0, float(sigma))) for _ in range(1000))
                table = tuple(max(SIZE_MIN_BYTES, size) for size in drawn)
            elif "=" in text:
                parts = [part.split("=") for part in text.split(",")]
                whole = sum(float(share) for _, share in parts)
                table = tuple(int(size) for size, share in parts for _ in range(round(1000 * float(share) / whole)))
            else:
                table = (int(text),)
        except (ValueError, ZeroDivisionError) as error:
            raise WrongWorkload(_ASK.format(given=text)) from error
        if not table or min(table) < SIZE_MIN_BYTES:
            raise WrongWorkload(f"{_ASK.format(given=text)}, and none below {SIZE_MIN_BYTES} bytes")
        return cls(table)

    def of(self, number: int) -> int:
        """The size of an image is always the same."""
        return self.table[number * 2_654_435_761 % 2**32 % len(self.table)]

    @property
    def mean(self) -> float:
        return sum(self.table) / len(self.table)

    @property
    def largest(self) -> int:
        return max(self.table)


class Popularity:
    """How often which of `images` images is asked for: all alike, or by Zipf's law."""

    def __init__(self, text: str, images: int) -> None:
        """`uniform` or `zipf:EXPONENT`. Raises WrongWorkload."""
        self._cumulative: list[float] | None = None
        self._images = images
        if text == "uniform":
            return
        kind, _, exponent = text.partition(":")
        try:
            skew = float(exponent or 1)
        except ValueError:
            skew = -1
        if kind != "zipf" or skew < 0:
            raise WrongWorkload(f"POPULARITY is {text}; allowed are uniform, or zipf:EXPONENT with one such as 1.0")
        self._cumulative = list(accumulate(1 / rank**skew for rank in range(1, images + 1)))

    def rank(self, chance: float) -> int:
        """0 is asked for most; `chance` is from 0 up to, and without, 1."""
        if self._cumulative is None:
            return int(chance * self._images)
        return min(bisect(self._cumulative, chance * self._cumulative[-1]), self._images - 1)


class Images:
    """The images that one process asks for: `images` of them are alive at a time, and each miss adds the next."""

    def __init__(self, prefix: str, images: int, hit_rate: float, popularity: str, seed: int) -> None:
        self._prefix = prefix
        self._alive = images
        self._hit_rate = hit_rate
        self._popularity = Popularity(popularity, images)
        self._random = random.Random(seed)  # noqa: S311 - a load, not a secret
        self.written = 0
        """So many exist or did: the next new one has this number."""

    def key(self, number: int) -> bytes:
        return f"{self._prefix}{number}".encode()

    def new(self) -> int:
        self.written += 1
        return self.written - 1

    def next(self) -> tuple[int, bool]:
        """Number of the image that is asked for, and whether the cache should have it."""
        if self._random.random() >= self._hit_rate or not self.written:
            return self.new(), False
        # Spread over numbers, or the newest would be the most popular and their neighbours in time, too.
        rank = self._popularity.rank(self._random.random())
        alive = min(self._alive, self.written)
        return self.written - 1 - (rank * 7919 + self._prefix_offset) % alive, True

    @property
    def _prefix_offset(self) -> int:
        return len(self._prefix)
