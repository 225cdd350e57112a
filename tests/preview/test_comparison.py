"""What differs between plans."""

from components.advice.advice import Advice, derive_advice
from preview.comparison import comparison
from preview.document import Facts, Table
from tests.plan.stacks import TLS, option_1, option_2, stack
from tests.preview.stacks import option_1_advice

PLANS: dict[str, Advice | str] = {"64GB": option_1_advice(), "128GB": derive_advice(option_2())}


def test_what_differs_is_a_table_and_what_is_the_same_is_told_once() -> None:
    different, same, warnings = comparison(PLANS)

    (table,), (facts,) = different.blocks, same.blocks
    assert isinstance(table, Table)
    assert isinstance(facts, Facts)
    assert table.header == ("", "64GB", "128GB")
    assert ("masters + replicas", "16 + 16", "8 + 8") in table.rows
    assert ("blast radius", "6.25 %", "12.50 %") in table.rows
    assert ("CPU cores", "32", "16") in table.rows
    assert ("usable memory", "1TB") in facts.rows
    assert all(len(set(row[1:])) > 1 for row in table.rows)
    assert not {row[0] for row in table.rows} & {label for label, _ in facts.rows}
    assert warnings.topic == "Warnings"


def test_what_makes_a_size_fail_is_among_what_differs() -> None:
    sizes: dict[str, Advice | str] = {size: derive_advice(stack(size, tls=TLS)) for size in ("64GB", "128GB")}
    (table,) = comparison(sizes)[0].blocks
    assert isinstance(table, Table)
    assert ("Redis's one core", "63 %", "127 %") in table.rows
    assert next(row for row in table.rows if row[0] == "full resync, busy node")[2] == "never"


def test_each_plan_is_followed_by_its_own_warnings() -> None:
    plan = derive_advice(option_1(ttlSeconds=700))
    (facts,) = comparison({"a": plan, "b": PLANS["64GB"]})[-1].blocks

    assert isinstance(facts, Facts)
    names = [name for name, _ in facts.rows]
    own = facts.rows[: names.index("b")]
    assert [code for _, code in own] == [warning.code for warning in plan.warnings]
    assert names[0] == "a"
    assert set(names[1 : names.index("b")]) <= {""}


def test_a_size_without_a_plan_has_an_empty_column_and_its_reason() -> None:
    different, same, refused, _ = comparison(PLANS | {"3TB": "too large\nby far"})

    (table,) = different.blocks
    assert isinstance(table, Table)
    assert {row[3] for row in table.rows} == {"–"}
    assert same.topic == "The same"
    assert refused.blocks == (Facts((("3TB", "too large"), ("", "by far"))),)
    assert refused.is_alert
