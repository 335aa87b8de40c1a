"""All device models, by short name: what `vmdev devices` lists and what the shared contract tests run over.

A model is found by being there: the class with a `title` in a file of this folder, by the file's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..device import Device


def _models() -> Iterator[tuple[str, type[Device]]]:
    package = __name__.rpartition(".")[0]
    for file in sorted(pkgutil.iter_modules([str(Path(__file__).parent)])):
        if file.name == __name__.rpartition(".")[2]:
            continue
        module = importlib.import_module(f"{package}.{file.name}")
        for value in vars(module).values():
            is_model = isinstance(value, type) and issubclass(value, Device) and "title" in vars(value)
            if is_model and value.__module__ == module.__name__:
                yield file.name, value


CATALOG: Final[dict[str, type[Device]]] = dict(_models())
