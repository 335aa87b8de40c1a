"""A PC16550D under test, shared by its test files."""

from __future__ import annotations

from hypothesis import strategies as st

from vmdev.replay.clock import Clock
from vmdev.replay.device import Unknown
from vmdev.replay.devices.uart16550 import IIR_FCR, LCR, LCR_DLAB, MCR, MCR_LOOP, Uart16550
from vmdev.replay.irq import Line

RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = IIR_FCR
LCR_8N1 = 0x03
CHARACTER_8N1_NS = 86_805  # at 115200 baud


class Port:
    """A port under test, its clock, and the levels that INTR went through."""

    def __init__(self, *, modem_lines: bool = False) -> None:
        self.clock = Clock()
        self.line = Line()
        self.changes: list[bool] = []
        self.line.connect(self.changes.append)
        self.uart = Uart16550(self.clock, self.line, modem_lines=modem_lines)

    def get(self, offset: int) -> int:
        return self.uart.read(offset, 1)

    def put(self, offset: int, value: int) -> None:
        self.uart.write(offset, 1, value)

    def send(self, text: bytes) -> None:
        for value in text:
            self.put(THR, value)

    def source(self) -> int:
        return self.get(IIR) & 0x0F

    def advance_ns(self, elapsed_ns: int) -> None:
        self.clock.advance(self.clock.now_ns + elapsed_ns)

    def sees(self, offset: int, hw: int) -> str:
        """Replay a read that the recording answers with `hw`; how it comes out."""
        model = self.get(offset)
        if isinstance(model, Unknown):
            assert hw & ~model.mask == model.known
            model.learn(hw & model.mask)
            return model.kind
        if model == hw:
            return "matched"
        return "assumed" if self.uart.assume(offset, 1, hw, model) else "diverged"


def configure_8n1(port: Port, *, divisor: int = 1, fcr: int = 0, ier: int = 0) -> None:
    port.put(LCR, LCR_DLAB | LCR_8N1)
    port.put(DLL, divisor & 0xFF)
    port.put(DLM, divisor >> 8)
    port.put(LCR, LCR_8N1)
    port.put(FCR, fcr)
    port.put(IER, ier)


def loopback(*, fcr: int = 0, ier: int = 0) -> Port:
    port = Port()
    configure_8n1(port, fcr=fcr, ier=ier)
    port.put(MCR, MCR_LOOP)
    return port


# Programs for the property tests

bytes_ = st.integers(0, 0xFF)
accesses = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("write"), st.sampled_from((THR, IER, FCR, LCR, MCR)), bytes_),
        st.tuples(st.just("wait"), st.just(0), st.integers(0, 5 * CHARACTER_8N1_NS)),
    ),
    max_size=60,
)


def run(port: Port, program: list[tuple[str, int, int]]) -> None:
    for what, offset, value in program:
        if what == "read":
            port.get(offset)
        elif what == "write":
            port.put(offset, value)
        else:
            port.advance_ns(value)
