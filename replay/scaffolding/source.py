"""The source of a model, made of what was inferred: a module like those in devices/, as ruff would format it."""

from __future__ import annotations

import json

from .declarations import declarations, imports
from .inference import Inference
from .methods import functions, model_class
from .observation import Observation
from .plan import Plan
from .rendering import decimal, plain
from .wording import Wording


class Writer:
    """Writes the model of one device.

    Args:
        seen: what the guest did.
        inferred: what follows from it.
        module: the name under which the model will be imported.
        description: the description of the registers that was used, if any: the file's name and what of it.
    """

    def __init__(self, seen: Observation, inferred: Inference, module: str, description: str = "") -> None:
        self._plan = Plan(seen, inferred, description)
        self._module = module

    @property
    def class_name(self) -> str:
        """The class's name."""
        return self._plan.class_name

    @property
    def option(self) -> str:
        """What ``vmdev replay --device`` takes to replay into it."""
        return self._plan.seen.option.replace("{}", f"{self._module}:{self.class_name}")

    def model(self) -> str:
        """The module's text."""
        words = Wording(self._plan)
        lines = [*words.docstring(), "", *imports(self._plan), *declarations(self._plan, words)]
        lines += [*functions(self._plan), *model_class(self._plan)]
        return "\n".join(lines) + "\n"

    def test(self) -> str:
        """A pytest that holds the model to what it answers now."""
        seen, found = self._plan.seen, self._plan.inferred
        return (
            f'"""{self.class_name} answers the guest of {plain(seen.trace)} no worse than it did."""\n\n'
            "from typing import Any\n\n\n"
            f"def test_{self._module}_answers_as_much_as_it_did(vmdev: Any) -> None:\n"
            f'    """Of {found.reads:,} reads. What is right from now on belongs into the number."""\n'
            f"    verdict = vmdev.replay(\n"
            f"        {json.dumps(seen.trace)},\n"
            f"        devices=[\n"
            f"            {json.dumps(seen.name)},\n"
            f"            {json.dumps(self.option)},\n"
            f"        ],\n"
            f"    )\n"
            f"    assert verdict.totals.matched >= {decimal(found.matched)}\n"
        )
