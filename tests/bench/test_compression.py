"""JPEG does not shrink under zlib, whatever the picture; encoding again shrinks what was stored better than that."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from tests.bench.compression import AGAIN, main, ratios


def picture(noise: int) -> Image.Image:
    """Smooth areas, edges and as much grain as asked for."""
    size = (640, 480)
    smooth = Image.radial_gradient("L").resize(size)
    edges = Image.linear_gradient("L").resize(size).point(lambda value: 255 if value // 16 % 2 else 0)
    grain = Image.effect_noise(size, noise)
    return Image.merge("RGB", (ImageChops.add(smooth, grain, 2), ImageChops.blend(smooth, edges, 0.3), grain))


@pytest.mark.parametrize("noise", [20, 60])
@pytest.mark.parametrize("quality", [95, 90, 85])
def test_zlib_saves_next_to_nothing_of_a_jpeg(noise: int, quality: int) -> None:
    assert ratios(picture(noise), quality).zlib > 0.9


def test_encoding_again_helps_only_what_was_stored_at_a_higher_quality() -> None:
    found = {quality: ratios(picture(30), quality).again for quality in (95, AGAIN)}
    assert found[95] < 0.8
    assert found[AGAIN] > 0.95


def test_without_a_picture_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "PICTURE" in capsys.readouterr().err
