"""The catalogue's facts against DescribeInstanceTypes as moto ships it, and EKS's formulas against known nodes."""

import csv
import gzip
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from components.advice.commitments import COMMITMENTS
from components.advice.elasticache import NODE_TYPES
from components.config.settings import Nodes
from components.config.zones import letter_of, region_of
from components.plan.nodes.catalogue import InstanceType, load_catalogue

RESOURCES = files("moto") / "ec2" / "resources"
DATA = Path(__file__).resolve().parents[2] / "components" / "plan" / "nodes"
CATALOGUE = load_catalogue()


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    with (RESOURCES / "instance_types.json.gz").open("rb") as packed:
        types: dict[str, Any] = json.loads(gzip.decompress(packed.read()))
    return types


def offered(region: str) -> dict[str, str]:
    """Type -> letters of the zones that offer it."""
    path = RESOURCES / "instance_type_offerings" / "availability-zone" / f"{region}.json.gz"
    zones: dict[str, set[str]] = {}
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        zones.setdefault(entry["InstanceType"], set()).add(entry["Location"].removeprefix(region))
    return {name: "".join(sorted(letters)) for name, letters in zones.items()}


def test_every_type_has_the_specs_that_aws_describes(described: dict[str, Any]) -> None:
    assert len(CATALOGUE.types) > 90
    for kind in CATALOGUE.types:
        aws = described[kind.name]
        network = aws["NetworkInfo"]
        card = network["NetworkCards"][network["DefaultNetworkCardIndex"]]
        volumes = aws["EbsInfo"]
        assert {
            "architecture": kind.architecture,
            "vcpu": kind.vcpu,
            "memory": kind.memory_mib,
            "baseline": kind.network_baseline_gbps,
            "burst": kind.network_burst_gbps,
            "enis": kind.max_enis,
            "addresses": kind.ipv4_per_eni,
            "ebs": kind.ebs_baseline_gbps,
            "attachments": kind.ebs_attachments,
            "shared": kind.ebs_attachments_shared,
            "encrypts": kind.encrypts_in_transit,
        } == {
            "architecture": aws["ProcessorInfo"]["SupportedArchitectures"][0],
            "vcpu": aws["VCpuInfo"]["DefaultVCpus"],
            "memory": aws["MemoryInfo"]["SizeInMiB"],
            "baseline": card["BaselineBandwidthInGbps"],
            "burst": card["PeakBandwidthInGbps"],
            "enis": card["MaximumNetworkInterfaces"],
            "addresses": network["Ipv4AddressesPerInterface"],
            "ebs": volumes["EbsOptimizedInfo"]["BaselineBandwidthInMbps"] / 1000,
            "attachments": volumes["MaximumEbsAttachments"],
            "shared": volumes["AttachmentLimitType"] == "shared",
            "encrypts": network["EncryptionInTransitSupported"],
        }, kind.name


def test_every_type_is_offered_where_aws_offers_it() -> None:
    regions = {region for kind in CATALOGUE.types for region in kind.zone_letters}
    assert {"us-east-1", "eu-west-1", "eu-central-1"} <= regions
    for region in sorted(regions):
        aws = offered(region)
        for kind in CATALOGUE.types:
            assert kind.zone_letters.get(region, "") == aws.get(kind.name, ""), (kind.name, region)


def test_the_kernel_shows_two_to_eight_percent_less_than_the_nominal_memory() -> None:
    for kind in CATALOGUE.types:
        assert 0.02 <= 1 - kind.memtotal_mib / kind.memory_mib <= 0.08, kind.name


def test_larger_types_of_a_family_never_cost_less() -> None:
    for kind in CATALOGUE.types:
        for other in CATALOGUE.types:
            same_family = kind.name.split(".")[0] == other.name.split(".")[0]
            if same_family and kind.memory_mib < other.memory_mib:
                for region, price in kind.usd_per_hour.items():
                    assert price < other.usd_per_hour[region], (kind.name, other.name, region)


def test_every_family_has_its_price_for_three_years() -> None:
    assert {kind.name.split(".")[0] for kind in CATALOGUE.types} == COMMITMENTS.keys()


def test_general_types_have_the_price_and_the_three_years_that_were_read() -> None:
    """Of Karpenter's price file (an hour) and Netflix's list (a year for three)."""
    for name, hour, year in [
        ("c6g.4xlarge", 0.544, 1791.67),
        ("c6gn.4xlarge", 0.6912, 2262.33),
        ("m6a.4xlarge", 0.6912, 2390.33),
        ("m6g.4xlarge", 0.616, 2041.67),
        ("m6i.4xlarge", 0.768, 2656.0),
        ("m6in.4xlarge", 1.11384, 3273.33),
    ]:
        kind = CATALOGUE.find(name)
        assert kind is not None
        assert kind.price("us-east-1")[0] == hour
        share = COMMITMENTS[name.split(".")[0]].three_years_all_upfront
        assert hour * 8760 * share == pytest.approx(year, rel=0.003), name


NAMED_REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1"),
    *("ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2"),
)
INDIA = {"ap-south-1", "ap-south-2"}


def price_rows() -> list[dict[str, str]]:
    lines = (DATA / "ec2_prices.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def price_regions() -> set[str]:
    return set(price_rows()[0]) - {"family", "source", "priced"}


def test_every_region_of_the_catalogue_has_prices_of_its_own() -> None:
    assert price_regions() == CATALOGUE.regions - {"us-east-1"}
    for region in CATALOGUE.regions:
        kind = CATALOGUE.find("r6g.12xlarge")
        assert kind is not None
        assert kind.price(region)[1] == region


@pytest.mark.parametrize("region", NAMED_REGIONS)
def test_the_usual_regions_have_prices_of_the_usual_families(region: str) -> None:
    # Neither source has r8g of São Paulo.
    usual = {"c6g", "m6g", "m6i", "r6g", "r6i", "r7g", "r7i", "r8g"} - ({"r8g"} if region == "sa-east-1" else set())
    assert usual <= {kind.family for kind in CATALOGUE.types if region in kind.usd_per_hour}


def test_a_price_stands_once_and_belongs_to_a_family_that_the_region_offers() -> None:
    rows = price_rows()
    cells = [(row["family"], region) for row in rows for region in price_regions() if row[region]]
    assert len(cells) == len(set(cells)) > 400
    for family, region in cells:
        assert any(kind.family == family and kind.zones_offering(region) for kind in CATALOGUE.types), (family, region)


def test_a_source_has_one_date_or_none() -> None:
    assert {(row["source"], row["priced"]) for row in price_rows()} == {("libcloud", "2025-03-02"), ("skypilot", "")}


def test_a_price_of_a_region_is_near_that_of_virginia() -> None:
    """A slip of a digit or a column is outside. The warning of a price that is not known names 0.6 and 2."""
    for kind in CATALOGUE.types:
        for region, price in kind.usd_per_hour.items():
            ratio = price / kind.usd_per_hour["us-east-1"]
            cheapest = 0.6 if region in INDIA else 0.97
            assert cheapest <= ratio <= 2, (kind.name, region, ratio)


def test_prices_follow_the_size_within_a_family() -> None:
    """What lets one price of a family stand for all its sizes. AWS rounds to 4 or 5 decimals."""
    for kind in CATALOGUE.types:
        largest = max((other for other in CATALOGUE.types if other.family == kind.family), key=lambda one: one.vcpu)
        assert kind.xlarges == kind.vcpu / 4, kind.name
        for region, price in kind.usd_per_hour.items():
            if region in largest.usd_per_hour:
                expected = largest.usd_per_hour[region] * kind.xlarges / largest.xlarges
                assert price == pytest.approx(expected, rel=2e-4), (kind.name, region)


@pytest.mark.parametrize(
    ("name", "region", "hour"),
    [
        ("c6g.2xlarge", "eu-west-3", 0.324),
        ("c6g.16xlarge", "me-south-1", 2.72),
        ("m6i.16xlarge", "me-central-1", 3.7664),
        ("m6in.16xlarge", "ap-northeast-2", 5.39136),
        ("r6g.12xlarge", "eu-west-1", 2.7072),
        ("r6in.8xlarge", "eu-north-1", 2.97648),
        ("r7g.16xlarge", "ap-east-1", 4.544),
        ("r7g.xlarge", "us-west-1", 0.238),
        ("r7gd.4xlarge", "eu-central-1", 1.3079),
        ("r8g.16xlarge", "ap-south-1", 2.64256),
        ("r8g.16xlarge", "ca-central-1", 4.12928),
        ("r8gn.4xlarge", "us-west-2", 1.4574),
        ("r8i.12xlarge", "eu-west-2", 3.91608),
        ("x2iedn.xlarge", "ca-central-1", 0.917),
        ("x2iezn.8xlarge", "ap-northeast-1", 9.672),
        ("x8g.12xlarge", "eu-north-1", 5.33904),
        ("x8i.2xlarge", "eu-central-1", 1.22548),
    ],
)
def test_a_price_is_the_one_that_was_read_for_that_very_size(name: str, region: str, hour: float) -> None:
    """Of skypilot-catalog: another size than the one from which the file's price comes, and mostly another source."""
    kind = CATALOGUE.find(name)
    assert kind is not None
    assert kind.price(region) == (pytest.approx(hour, abs=6e-5), region)


def test_a_price_has_the_date_of_its_source_alone() -> None:
    kind, younger = CATALOGUE.find("r6g.12xlarge"), CATALOGUE.find("r8i.12xlarge")
    assert kind is not None
    assert younger is not None
    assert kind.price_dates["us-east-1"] == "2026-07-20"
    assert {kind.price_dates[region] for region in kind.usd_per_hour if region != "us-east-1"} == {"2025-03-02"}
    assert "eu-central-1" in younger.usd_per_hour
    assert "eu-central-1" not in younger.price_dates


def test_a_region_does_not_price_a_type_that_it_does_not_offer() -> None:
    for kind in CATALOGUE.types:
        assert kind.usd_per_hour.keys() - {"us-east-1"} <= kind.zone_letters.keys(), kind.name


def test_the_older_graviton_families_are_those_that_do_not_encrypt_in_transit() -> None:
    # The reference of nodes.transitEncryption names them.
    plain = {kind.family for kind in CATALOGUE.types if not kind.encrypts_in_transit}
    assert plain == {"c6g", "m6g", "r6g", "r6gd", "x2gd"}
    assert f"{', '.join(sorted(plain - {'x2gd'}))} and x2gd" in str(
        Nodes.model_fields["transit_encryption"].description
    )


def node(memtotal_mib: int, vcpu: int, max_enis: int, ipv4_per_eni: int) -> InstanceType:
    return InstanceType(
        "test.large",
        "arm64",
        vcpu,
        0,
        memtotal_mib,
        1.0,
        1.0,
        max_enis,
        ipv4_per_eni,
        1.0,
        27,
        True,
        True,
        None,
        {},
        {},
    )


def test_reserved_memory_is_computed_for_at_most_110_pods() -> None:
    # A 16xlarge's cards could carry 737 pods, for which nodeadm would reserve 8,362 MiB.
    assert node(500_000, 64, 15, 50).allocatable_memory_mib == 500_000 - (11 * 110 + 255) - 100
    assert node(500_000, 64, 4, 15).allocatable_memory_mib == 500_000 - (11 * 58 + 255) - 100


@pytest.mark.parametrize(
    ("vcpu", "reserved_millicores"), [(1, 60), (2, 70), (4, 80), (5, 82), (8, 90), (32, 150), (48, 190), (64, 230)]
)
def test_reserved_cpu_follows_the_bands_of_nodeadm(vcpu: int, reserved_millicores: int) -> None:
    assert node(1000, vcpu, 4, 15).allocatable_cpu_millicores == vcpu * 1000 - reserved_millicores


@pytest.mark.parametrize(
    ("name", "allocatable_mib", "cpu_millicores"),
    [
        ("r6g.12xlarge", 380_624, 47_810),
        ("r7g.12xlarge", 378_361, 47_810),
        ("r5n.12xlarge", 381_023, 47_810),
        ("r8i.16xlarge", 506_105, 63_770),
        ("x2gd.2xlarge", 126_277, 7_910),
        ("m6i.2xlarge", 30_555, 7_910),
    ],
)
def test_allocatable_figures_of_known_types(name: str, allocatable_mib: int, cpu_millicores: int) -> None:
    kind = CATALOGUE.find(name)
    assert kind is not None
    assert (kind.allocatable_memory_mib, kind.allocatable_cpu_millicores) == (allocatable_mib, cpu_millicores)


def test_a_node_costs_its_hours_and_its_root_volume() -> None:
    one = replace(node(1000, 4, 4, 15), usd_per_hour={"us-east-1": 1.0, "eu-west-1": 2.0})
    assert one.usd_per_month("us-east-1") == pytest.approx(730 + 50 * 0.08)
    assert one.usd_per_month("eu-west-1") == pytest.approx(1460 + 50 * 0.08)
    assert one.price("eu-central-1") == (1.0, "us-east-1")


def test_interfaces_take_attachments_where_the_limit_is_shared() -> None:
    shared, own = CATALOGUE.find("r6g.12xlarge"), CATALOGUE.find("r8i.12xlarge")
    assert shared is not None
    assert own is not None
    assert shared.max_volumes == 27 - 1 - 2
    assert own.max_volumes == own.ebs_attachments - 1


def test_elasticache_nodes_have_the_network_of_their_ec2_type(described: dict[str, Any]) -> None:
    for name, _, gbps, _ in NODE_TYPES:
        card = described[name.removeprefix("cache.")]["NetworkInfo"]["NetworkCards"][0]
        assert card["BaselineBandwidthInGbps"] == pytest.approx(gbps, abs=0.01), name


def test_a_zone_names_its_region() -> None:
    assert region_of("us-east-1a") == "us-east-1"
    assert letter_of("ap-northeast-1d") == "d"


@pytest.mark.parametrize("zone", ["us-east-1", "us-east-1-bos-1a", "use1-az1", "", "eu-west-1ab"])
def test_what_is_no_zone_is_refused_by_name(zone: str) -> None:
    with pytest.raises(ValueError, match="is no availability zone"):
        region_of(zone)
