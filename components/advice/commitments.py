"""What nodes cost when they are paid for one year or for three, as a share of the price on demand.

Shares were read in us-east-1, Linux, standard reservations (ec2-instances-info as of 2025-05-28, which reads AWS's
price list). They are a family's: its sizes differ by 0.003 at most. In other regions they differ by 0.05 at most, but
for c6gn (0.08). Three years all upfront equal Netflix's list of 2026-06 (service-capacity-modeling,
`3yr-reserved_ec2.json`) for every family. r8i, r8gn, r8in and x8i are in that list alone; they have the other shares of
the families whose three years all upfront cost the same.
"""

from dataclasses import dataclass

from components.plan.nodes.catalogue import family_of


@dataclass(frozen=True, slots=True)
class Commitment:
    """Price over price on demand, by term and payment option."""

    one_year: float
    """Nothing upfront."""
    three_years_nothing_upfront: float
    three_years_partly_upfront: float
    """Half of it."""
    three_years_all_upfront: float


COMMITMENTS = {
    **dict.fromkeys(("r6g", "r6gd", "c6g"), Commitment(0.63, 0.432, 0.4, 0.376)),
    "r7gd": Commitment(0.628, 0.432, 0.4, 0.376),
    "m6g": Commitment(0.627, 0.435, 0.402, 0.378),
    "c6gn": Commitment(0.631, 0.429, 0.397, 0.374),
    **dict.fromkeys(("r7g", "r7i", "r6i", "r6a", "m6i", "m6a", "r8i", "r8g"), Commitment(0.662, 0.454, 0.42, 0.395)),
    "m6in": Commitment(0.63, 0.385, 0.357, 0.335),
    **dict.fromkeys(("r5n", "r6in", "r8gn", "r8in"), Commitment(0.63, 0.405, 0.375, 0.352)),
    "r7iz": Commitment(0.63, 0.413, 0.382, 0.359),
    **dict.fromkeys(("x2gd", "x8g"), Commitment(0.616, 0.342, 0.316, 0.297)),
    **dict.fromkeys(("x2idn", "x2iedn", "x2iezn", "x8i"), Commitment(0.615, 0.321, 0.297, 0.279)),
}
"""By family."""


def commitment_of(instance_type: str) -> Commitment:
    """The shares of a type of the catalogue."""
    return COMMITMENTS[family_of(instance_type)]
