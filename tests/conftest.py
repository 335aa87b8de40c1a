"""Settings of all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("vmdev", deadline=None)  # a slow machine is no failure
settings.load_profile("vmdev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the project's own tests."""
    parser.addoption("--update-golden", action="store_true", help="write the expected reports anew")
