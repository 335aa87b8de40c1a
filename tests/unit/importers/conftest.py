from __future__ import annotations

from pathlib import Path

import pytest

from logs import Importing, Result, result, run_import
from vmdev.replay.importers.records import NO_HINTS, Hints


@pytest.fixture
def imported(tmp_path: Path, request: pytest.FixtureRequest) -> Importing:
    """Imports a text as a log of a format."""

    def run(form: str, text: str | bytes, hints: Hints = NO_HINTS) -> Result:
        path = tmp_path / "imported.db"
        made = result(path, run_import(path, form, text, hints))
        request.addfinalizer(made.reader.close)
        return made

    return run
