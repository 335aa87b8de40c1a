"""Real recordings, made once for all tests that look at them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Vmdev = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def vmdev() -> Vmdev:
    """Run ``vmdev`` as a user does; returns the finished process."""
    program = Path(sys.executable).with_name("vmdev")

    def run(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def recorded(vmdev: Vmdev, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the default guest."""
    path = tmp_path_factory.mktemp("recorded") / "trace.db"
    done = vmdev("record", "-o", path)
    assert done.returncode == 0, done.stderr
    return path
