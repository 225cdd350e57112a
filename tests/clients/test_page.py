"""docs/clients.md shows what is tried, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.clients.__main__ import main
from tests.clients.drivers import ALL, PATIENCE, PATIENT_S, QUICK_S, Client, between_marks
from tests.clients.faults import FAULTS, TEXTS
from tests.clients.figures import Figures
from tests.clients.page import MEASURED, PAGE, Measured, Run, is_met, render
from tests.faults.rows import ROWS


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured.from_json(MEASURED.read_text())


def test_the_page_is_what_the_drivers_and_the_last_run_say(measured: Measured) -> None:
    assert PAGE.read_text() == render(measured)


@pytest.mark.parametrize("client", ALL, ids=lambda client: client.name)
def test_the_settings_on_the_page_are_those_of_the_driver(client: Client) -> None:
    assert client.code in PAGE.read_text()
    assert client.code.count("\n") > 5


@pytest.mark.parametrize("client", ALL, ids=lambda client: client.name)
def test_the_version_on_the_page_is_the_one_that_is_installed(client: Client, measured: Measured) -> None:
    try:
        installed = client.version()
    except ModuleNotFoundError:
        pytest.skip(f"{client.name} is installed by `make clients`")
    assert measured.versions[client.name] == installed


def test_clients_are_driven_through_every_row_of_the_fault_table() -> None:
    assert {row.key for row in ROWS} <= {fault.key for fault in FAULTS}


@pytest.mark.parametrize("settings", ["recommended", "defaults"])
def test_every_client_has_figures_for_every_fault(measured: Measured, settings: str) -> None:
    run: Run = getattr(measured, settings)
    assert {fault.key for fault in FAULTS} <= set(run.figures) <= set(TEXTS)
    for by_client in run.figures.values():
        assert set(by_client) == {client.name for client in ALL}


def test_every_client_has_figures_with_patience(measured: Measured) -> None:
    wanted = {fault.key for fault in FAULTS if fault.outlasted}
    assert {"crash", "lost", "frozen", "split", "zone", "restart-new", "restart-rotated"} == wanted
    assert wanted <= set(measured.patient.figures) <= set(TEXTS)
    for by_client in measured.patient.figures.values():
        assert set(by_client) == {client.patient().name for client in ALL}


def test_the_page_shows_what_was_measured_with_patience(measured: Measured) -> None:
    seen = Figures(440, 0, 8.4, None, {})
    run = Run({"lost": 8.0}, {"lost": {client.patient().name: seen for client in ALL}})
    page = render(replace(measured, patient=run, load="31%"))
    assert f"| {TEXTS['lost']} | 8.0 s |" + " 0 of 440, 8.4 s |" * len(ALL) in page
    assert "processors were 31% busy" in page


def test_patience_is_the_one_number_that_differs() -> None:
    for client in ALL:
        assert PATIENCE in client.code
        assert client.patient().code == client.code
        assert client.patient().bound_s - client.bound_s == PATIENT_S - QUICK_S


def test_every_bold_cell_is_listed_as_missed(measured: Measured) -> None:
    tables, _, rest = render(measured).partition("### What it misses")
    listed = rest.partition("## What the defaults do")[0]
    bold = re.findall(r"\*\*(\d+ of [^*|]+)\*\*", tables)
    assert bold
    assert re.findall(r"^- .+\*: (\d+ of .+)$", listed, re.MULTILINE) == bold


def test_figures_survive_being_written(measured: Measured) -> None:
    assert Measured.from_json(measured.to_json()) == measured


def test_a_cell_is_met_when_requests_were_short_and_none_failed_afterwards() -> None:
    client = ALL[0]
    bound = client.bound_s
    assert is_met("lost", client, Figures(9, 3, bound, -0.1, {}))
    assert not is_met("lost", client, Figures(9, 3, bound + 0.1, -0.1, {}))
    assert not is_met("lost", client, Figures(9, 3, bound, 0.1, {}))
    assert is_met("rolling", client, Figures(9, 0, bound, None, {}))
    assert not is_met("rolling", client, Figures(9, 1, bound, -0.1, {}))
    patient = client.patient()
    assert is_met("lost", patient, Figures(9, 0, patient.bound_s, None, {}))
    assert not is_met("lost", patient, Figures(9, 1, bound, -0.1, {}))
    assert not is_met("lost", patient, Figures(9, 0, patient.bound_s + 0.1, None, {}))


@pytest.mark.parametrize("text", ["", "# settings: begin\n", "# settings: end\n# settings: begin\n"])
def test_a_driver_without_both_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"driver\.py needs one line"):
        between_marks(text, "driver.py")


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "crash,lsot"])
    assert "there is no fault lsot; faults: crash, memory, lost" in capsys.readouterr().err


def test_a_page_of_some_clients_or_faults_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--python", "--write"])
    assert "--write needs all faults, all clients and all runs" in capsys.readouterr().err
