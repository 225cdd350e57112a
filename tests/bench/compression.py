"""What "compress images before storing" brings: zlib on JPEG files, and encoding them again at quality 85.

    python -m tests.bench.compression PICTURE…

Each picture is first made the JPEG that an application would have: at the quality of cameras and at that of web pages.
docs/reference/sizing-document.md has the figures of one run.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

QUALITIES = (95, 90, 85)
AGAIN = 85
"""The sizing document's quality."""


@dataclass(frozen=True)
class Ratios:
    """New size over old, of one JPEG."""

    quality: int
    jpeg_bytes: int
    zlib: float
    again: float
    again_and_zlib: float


def jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, format="JPEG", quality=quality)
    return out.getvalue()


def ratios(picture: Image.Image, quality: int) -> Ratios:
    """The document's program on the JPEG of that quality: decode, encode at 85, and zlib."""
    stored = jpeg(picture, quality)
    again = jpeg(Image.open(io.BytesIO(stored)), AGAIN)
    size = len(stored)
    return Ratios(quality, size, len(zlib.compress(stored)) / size, len(again) / size, len(zlib.compress(again)) / size)


def main(paths: Sequence[str]) -> int:
    if not paths:
        sys.stderr.write(__doc__ or "")
        return 2
    pictures = [Image.open(Path(path)) for path in paths]
    print(f"{len(pictures)} pictures; new size over old, mean (least to most)")
    print("  JPEG of quality           zlib    again at 85      and zlib")
    for quality in QUALITIES:
        found = [ratios(picture, quality) for picture in pictures]
        cells = [[getattr(item, name) for item in found] for name in ("zlib", "again", "again_and_zlib")]
        shown = "  ".join(f"{sum(cell) / len(cell):.2f} ({min(cell):.2f}-{max(cell):.2f})" for cell in cells)
        print(f"  {quality:<16}{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
