"""Devices that answer in the place of the models: with what another implementation answered to the same accesses.

The models are still played. They name the registers that accesses reach, know the banks, and follow the firmware where
it moves devices; but what they answer is not judged, and what they do wrong is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ..clock import Clock
from ..device import UNMODELLED, Device, Unknown
from ..errors import ModelHungError
from ..registers import RegisterMap
from .oracle import Oracle
from .reasons import Reason, Reasons

if TYPE_CHECKING:
    from ..machines.board import Board

Position = Callable[[], int]
"""Gives the number of the exit that is being replayed."""

NOWHERE: Final = "(nothing)"
"""The name of what is not in any region."""


class StandIn(Device):
    """Answers in the place of a model."""

    title = ""
    width = 8

    def __init__(self, name: str, behind: Device, stand_ins: StandIns) -> None:
        self.name = name
        self._behind = behind
        self._stand_ins = stand_ins
        self.registers = getattr(behind, "registers", None) or RegisterMap()

    @classmethod
    def alone(cls, clock: Clock) -> StandIn:
        """It is none by itself."""
        raise NotImplementedError

    def bank(self, offset: int) -> str | None:
        """As the model says."""
        return self._behind.bank(offset)

    def reset(self) -> None:
        """The model's board does it."""

    def state(self) -> Mapping[str, int]:
        """The state of the other implementation is not known."""
        return {}

    def explain(self, offset: int, size: int) -> Reason | None:
        """See `Device.explain`."""
        reasons = self._stand_ins.reasons
        reason = reasons.find(self._behind)
        if reason is not None:
            reasons.counts[self.name, reason] += 1
        return reason

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """What has the model follow, and answers what the other implementation did."""
        behind, follow, ask = self._behind, self._stand_ins.follow, self._stand_ins.ask
        try:
            read = behind.reader(offset, size)
        except ModelHungError:
            raise
        except Exception:
            return ask

        def answer() -> int:
            follow(behind, read, offset, size)
            return ask()

        return answer

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """What has the model follow."""
        behind, reasons = self._behind, self._stand_ins.reasons
        note = reasons.note_write if reasons.writes_matter(behind) else None
        try:
            write = behind.writer(offset, size)
        except ModelHungError:
            raise
        except Exception:
            return _drop

        def deliver(value: int) -> None:
            if note is not None:
                note(behind, offset)
            try:
                write(value)
            except ModelHungError:
                raise
            except Exception:  # the model's, which is not judged
                pass

        return deliver


class StandInRegion(StandIn):
    """Answers where the board has no model: for a region, whose registers have no names but their addresses."""

    def __init__(self, name: str, stand_ins: StandIns) -> None:
        super().__init__(name, _Nothing(), stand_ins)

    def explain(self, offset: int, size: int) -> Reason | None:
        """See `Device.explain`. Without a reason, that no register is declared is none either."""
        reasons = self._stand_ins.reasons
        reason = reasons.find_region(self.name)
        if reason is not None:
            reasons.counts[self.name, reason] += 1
        return reason or ("logic", "")

    def reader(self, offset: int, size: int) -> Callable[[], int]:
        """What answers what the other implementation did."""
        return self._stand_ins.ask

    def writer(self, offset: int, size: int) -> Callable[[int], None]:
        """What notes that there was a write; nobody has to follow."""
        note, name = self._stand_ins.reasons.note_region_write, self.name
        return lambda value: note(name)


class _Nothing(Device):
    """No model."""

    title = ""
    registers = RegisterMap()


class StandIns:
    """All of them, for one replay.

    Args:
        oracle: whose answers they give.
        board: built for the trace's guest; it gets a device for each region without a model.
    """

    def __init__(self, oracle: Oracle, board: Board) -> None:
        self._oracle = oracle
        self._names = {id(device): name for name, device in board.devices.items()}
        self._by_model: dict[int, StandIn] = {}
        self.reasons = Reasons(oracle.guest, is_first_cpu=oracle.hardware.is_first_cpu)
        self._regions: dict[int | None, StandInRegion] = {}
        self.position: Position = lambda: 0
        for _, _, _, region in oracle.packed_sites:
            if region in self._regions:
                continue
            name = ("" if region is None else oracle.region_names.get(region, "")) or NOWHERE
            while name in board.devices:
                name += "'"
            self._regions[region] = board.add(name, StandInRegion(name, self))

    def instead(self, device: Device) -> Device:
        """Who answers in the place of `device`."""
        if isinstance(device, StandIn):
            return device
        found = self._by_model.get(id(device))
        if found is None:
            name = self._names.get(id(device), type(device).__name__)
            found = self._by_model[id(device)] = StandIn(name, device, self)
        return found

    def elsewhere(self, number: int) -> Device:
        """Who answers the accesses of a site where the board has nobody."""
        return self._regions[self._oracle.packed_sites[number][3]]

    def ask(self) -> int:
        """What the other implementation answered to the read that is being replayed."""
        oracle = self._oracle
        answer = oracle.answers[self.position() - oracle.first]
        return UNMODELLED if answer is None else answer

    def follow(self, model: Device, read: Callable[[], int], offset: int, size: int) -> None:
        """Have a model make a read as the recording has it."""
        oracle = self._oracle
        _, _, recorded = oracle.rows[self.position() - oracle.first]
        try:
            answer = read()
            if isinstance(answer, Unknown):
                answer.learn(recorded & answer.mask)
            elif answer != recorded:
                model.assume(offset, size, recorded, answer)
        except ModelHungError:
            raise
        except Exception:  # the model's, which is not judged
            pass


def _drop(value: int) -> None:
    """Nothing is there to be told."""
