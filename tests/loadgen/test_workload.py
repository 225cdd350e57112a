"""What is asked for: hits as often as wanted, each image always as large, and popularity as the law says."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.__main__ import arguments, main, shares_of, target_of
from loadgen.workload import SIZE_MIN_BYTES, Images, Popularity, Sizes, WrongWorkload

SHARES = st.floats(0, 1)


@given(SHARES, st.integers(1, 50), st.sampled_from(["uniform", "zipf:1.0", "zipf:0.8"]), st.integers(0, 99))
def test_a_hit_asks_for_one_that_is_alive_and_a_miss_for_one_that_never_was(
    hit_rate: float, alive: int, popularity: str, seed: int
) -> None:
    images = Images("x:", alive, hit_rate, popularity, seed)
    written: list[int] = []
    for _ in range(200):
        number, should_hit = images.next()
        if should_hit:
            assert number in written[-alive:]
        else:
            assert number not in written
            written.append(number)


@given(SHARES)
def test_the_share_of_hits_is_the_one_that_is_wanted(hit_rate: float) -> None:
    images = Images("x:", 100, hit_rate, "uniform", 7)
    hits = sum(images.next()[1] for _ in range(3000)) / 3000
    assert abs(hits - hit_rate) < 0.05


def test_by_zipf_s_law_the_most_popular_of_a_hundred_takes_a_fifth() -> None:
    popularity = Popularity("zipf:1.0", 100)
    asked = Counter(popularity.rank(step / 10_000) for step in range(10_000))
    assert asked[0] / 10_000 == pytest.approx(1 / 5.187, abs=0.001)
    assert asked[0] > 1.9 * asked[1] > 3 * asked[5]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 1000), st.sampled_from(["uniform", "zipf:1", "zipf:2"]))
def test_a_rank_is_always_of_an_image_that_is_there(chance: float, images: int, popularity: str) -> None:
    assert 0 <= Popularity(popularity, images).rank(chance) < images


def test_sizes_are_as_given() -> None:
    assert set(Sizes.parse("1000000").table) == {1_000_000}
    mixed = Sizes.parse("100000=0.75,2000000=0.25")
    assert mixed.mean == pytest.approx(575_000)
    assert mixed.largest == 2_000_000
    spread = Sizes.parse("lognormal:700000:0.5")
    assert sorted(spread.table)[500] == pytest.approx(700_000, rel=0.1)
    assert spread.mean == pytest.approx(700_000 * 1.133, rel=0.1)


@given(st.integers(0, 10**9))
def test_an_image_is_always_as_large(number: int) -> None:
    sizes = Sizes.parse("lognormal:10000:1")
    assert sizes.of(number) == sizes.of(number) >= SIZE_MIN_BYTES


@pytest.mark.parametrize("text", ["", "big", "0", "-1", "lognormal:1", "lognormal:a:b", "1=a", "100=0", "10=1"])
def test_sizes_that_are_none_are_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(WrongWorkload, match="allowed are a number of bytes"):
        Sizes.parse(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["redis"], "HOST:PORT"),
        (["redis:1", "--hit-rate", "2"], "from 0 to 1"),
        (["redis:1", "--processes", "0"], "at least one process"),
        (["redis:1", "--popularity", "zipf:x"], "zipf:EXPONENT"),
        (["redis:1", "--reads-from", "zone"], "address ranges"),
        (["redis:1", "--zone", "10.0.0.0/8"], "address ranges"),
        (["redis:1", "--reads-from", "zone", "--zone", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(given: list[str], said: str) -> None:
    options = arguments().parse_args(given)
    with pytest.raises(ValueError, match=said):
        _ = target_of(options), shares_of(options)


def test_processes_share_a_load_and_no_image() -> None:
    shares = shares_of(arguments().parse_args(["r:1", "--rate", "90", "--processes", "3", "--images", "30"]))
    assert sum(share.rate for share in shares) == pytest.approx(90)
    assert sum(share.images for share in shares) == 30
    assert len({share.prefix for share in shares}) == 3


@pytest.mark.parametrize("password", ["a word", "two\nlines\n", "\u00e9\u4e16"])
def test_the_password_is_what_the_file_has_to_the_last_byte_and_goes_before_the_variable(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_bytes(password.encode())
    monkeypatch.setenv("REDISCLI_AUTH", "another")
    assert target_of(arguments().parse_args(["r:1"])).password == os.environ["REDISCLI_AUTH"]
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert target_of(arguments().parse_args(["r:1"])).password == password


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "must have the password"), (b"\xff", "utf-8")]
)
def test_a_file_of_no_password_is_refused_by_name_before_any_load(
    content: bytes | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(file))
    assert main(["r:1"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert str(file) in told
