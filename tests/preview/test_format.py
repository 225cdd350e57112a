"""How figures are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config import formats as written


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (written.memory(480_000 * 2**20), "469 GiB"),
        (written.memory(2000 * 2**20), "2,000 MiB"),
        (written.memory(10 * 2**30), "10 GiB"),
        (written.memory(1), "under 1 MiB"),
        (written.memory(0), "0 MiB"),
        (written.usd(16199.6), "16,200"),
        (written.usd(0.2), "under 1"),
        (written.usd(-0.2), "0"),
        (written.percent(0.02, 1), "under 0.1 %"),
        (written.percent(0, 1), "0 %"),
        (written.seconds(0.00002), "under 0.01 s"),
        (written.seconds(0), "0 s"),
        (written.rate(0.0000167), "under 0.01/s"),
        (written.rate(0.0167), "0.017/s"),
        (written.rate(9.97), "10/s"),
        (written.thousands(1_500_000, 2_400_000), "1,500K-2,400K"),
        (written.thousands(20, 512), "under 0.1K-0.5K"),
        (written.gbps(0.000001), "under 0.01 Gbps"),
        (written.times(0.001), "under 0.01x"),
        (written.milliseconds(0.01), "under 0.1 ms"),
        (written.plain(4000), "4,000"),
        (written.plain(12.5), "12.5"),
        (written.plain(1_200_000.0), "1,200,000"),
        (written.plain(0.0001), "under 0.001"),
        (written.usd(None), "–"),
        (written.percent(6.25, 2), "6.25 %"),
        (written.percent(1802.4), "1,802 %"),
        (written.seconds(0.21), "0.21 s"),
        (written.seconds(8.5), "8.5 s"),
        (written.seconds(9.97), "10 s"),
        (written.seconds(119), "119 s"),
        (written.seconds(120), "2 min"),
        (written.seconds(440), "7 min 20 s"),
        (written.seconds(7199.4), "119 min 59 s"),
        (written.seconds(7200), "2 h"),
        (written.seconds(90_000), "25 h"),
        (written.seconds(9_000), "2 h 30 min"),
        (written.milliseconds(0.16), "0.2 ms"),
        (written.milliseconds(1234.5), "1,234 ms"),
        (written.milliseconds(None), "unbounded"),
        (written.rate(8000), "8,000/s"),
        (written.rate(2.67), "2.7/s"),
        (written.thousands(12_500, 20_000), "12.5K-20K"),
        (written.gbps(4.8), "4.8 Gbps"),
        (written.gbps(0.0267), "0.03 Gbps"),
        (written.times(1.25), "1.25x"),
        (written.times(375), "375x"),
        (written.times(0.999), "under 1.00x"),
        (written.times(0.99), "0.99x"),
        (written.share(0.8), "80 %"),
        (written.share(0.57), "57 %"),
        (written.share(0.995), "99.5 %"),
        (written.share(0.9999), "99.99 %"),
        (written.share(0.9999999), "over 99.999 %"),
        (written.share(1), "100 %"),
        (written.share(0), "0 %"),
        (written.share(0.000001), "under 0.001 %"),
        (written.share(0.584663, 1), "58.5 %"),
        (written.share(0.99998, 1), "99.998 %"),
        (written.count(1, "pod"), "1 pod"),
        (written.count(0, "pod"), "0 pods"),
        (written.count(1200, "pod"), "1,200 pods"),
        (written.count(2, "copy", "copies"), "2 copies"),
    ],
)
def test_a_figure_is_written_with_its_unit(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(0, 1e7))
def test_a_time_never_shows_sixty_of_a_smaller_unit(value: float) -> None:
    number, _, rest = written.seconds(value).removeprefix("under ").partition(" ")
    assert float(number.replace(",", "")) >= 0
    assert "60 " not in rest
    assert " 0 " not in f" {rest} "
