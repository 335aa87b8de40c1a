from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from vmdev.replay.machines import MACHINES


def test_every_machine_has_a_line(run: Callable[..., Result]) -> None:
    result = run("machines")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(MACHINES)
    assert "PC with i440FX and PIIX4" in result.stdout
