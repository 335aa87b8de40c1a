"""The boots' fixtures and option."""

from __future__ import annotations

import guests
import pytest
from runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("boots"))


@pytest.fixture(autouse=True)
def _guests_that_cannot_be_had(request: pytest.FixtureRequest, runs: Runs) -> None:
    """Skip a boot whose guest or QEMU is not there; with --all-boots that is a failure."""
    boot = request.node.callspec.params["boot"] if hasattr(request.node, "callspec") else None
    if boot is None:
        return
    try:
        runs.command(boot)
    except guests.UnavailableError as why:
        if request.config.getoption("--all-boots", False):
            pytest.fail(str(why), pytrace=False)
        pytest.skip(str(why))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the matrix; pytest knows it when tests/boots is among its arguments."""
    parser.addoption("--all-boots", action="store_true", help="a guest that cannot be had is a failure, no skip")
