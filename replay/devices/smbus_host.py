"""SMBus host controller of the PIIX4 and ICH9, with QEMU's eight EEPROMs at addresses 50h to 57h.

Source: Intel ICH9 data sheet (316972), section 19.2; Intel PIIX4 data sheet (290562), section 7.3; System Management
Bus Specification 2.0, section 5.5 on the protocols.

Modelled: the host's registers, quick, byte, byte data, word data, block and I2C block read protocols, block buffer,
PEC and interrupts as far as QEMU has them; EEPROMs of 256 bytes, which are full of zeros.

Not modelled: the slave interface, SMBALERT#, the time that a transfer takes.

Follows QEMU where the guest can see a difference from the data sheets: a transfer that does not interrupt is made when
HST_STS is read, which still reads HOST_BUSY that once; INUSE_STS is never set; the slave's registers read 0; a write of
HST_STS clears all status that is written as 1 but HOST_BUSY; a reset leaves all registers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from ..clock import Clock
from ..device import Device
from ..irq import Line
from ..registers import Field, Register, RegisterMap, bit
from .smbus_eeprom import Eeproms

HST_STS, HST_CNT, HST_CMD, XMIT_SLVA, HST_D0, HST_D1, BLOCK_DB, AUX_CTL = 0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0D
SIZE: Final = 64
BUFFER_SIZE: Final = 32

HOST_BUSY, INTR, DEV_ERR, FAILED, BYTE_DONE = 0x01, 0x02, 0x04, 0x10, 0x80
INTREN, KILL, LAST_BYTE, START, CNT_READABLE = 0x01, 0x02, 0x20, 0x40, 0x1F
E32B: Final = 0x02
QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK, I2C_READ = 0, 1, 2, 3, 5, 6
PROTOCOLS: Final = {
    0: "quick", 1: "byte", 2: "byte data", 3: "word data", 4: "process call", 5: "block", 6: "I2C read",
    7: "block process",
}  # fmt: skip

REGISTERS: Final = RegisterMap(
    Register(
        "HST_STS", "Host status", HST_STS, "rw",
        (bit("HOST_BUSY", 0), bit("INTR", 1), bit("DEV_ERR", 2), bit("BUS_ERR", 3), bit("FAILED", 4),
         bit("SMBALERT_STS", 5), bit("INUSE_STS", 6), bit("DS", 7)),
    ),
    Register("SLV_STS", "Slave status", 0x01, "rw", reset=0),
    Register(
        "HST_CNT", "Host control", HST_CNT, "rw",
        (bit("INTREN", 0), bit("KILL", 1), Field("SMB_CMD", 4, 2, PROTOCOLS), bit("LAST_BYTE", 5), bit("START", 6),
         bit("PEC_EN", 7)),
    ),
    Register("HST_CMD", "Host command", HST_CMD, "rw"),
    Register("XMIT_SLVA", "Transmit slave address", XMIT_SLVA, "rw", (bit("RW", 0), Field("ADDRESS", 7, 1))),
    Register("HST_D0", "Host data 0", HST_D0, "rw"),
    Register("HST_D1", "Host data 1", HST_D1, "rw"),
    Register("HOST_BLOCK_DB", "Host block data byte", BLOCK_DB, "rw"),
    Register("PEC", "Packet error check", 0x08, "rw", reset=0),
    Register("RCV_SLVA", "Receive slave address", 0x09, "rw", reset=0),
    Register("SLV_DATA", "Receive slave data", 0x0A, "rw", width=16, reset=0),
    Register("AUX_STS", "Auxiliary status", 0x0C, "rw", reset=0),
    Register("AUX_CTL", "Auxiliary control", AUX_CTL, "rw", (bit("AAC", 0), bit("E32B", 1))),
    Register("SMLINK_PIN_CTL", "SMLink pin control", 0x0E, "rw", reset=0),
    Register("SMBUS_PIN_CTL", "SMBus pin control", 0x0F, "rw", reset=0),
    Register("SLV_STS2", "Slave status", 0x10, "rw", reset=0),
    Register("SLV_CMD", "Slave command", 0x11, "rw", reset=0),
    Register("NOTIFY_DADDR", "Notify device address", 0x14, "r", reset=0),
    Register("NOTIFY_DLOW", "Notify data low byte", 0x16, "r", reset=0),
    Register("NOTIFY_DHIGH", "Notify data high byte", 0x17, "r", reset=0),
)  # fmt: skip

NOTHING: Final = -1
"""What a transfer gives to which nobody answers."""


class SmbusHost(Device):
    """The host controller.

    Args:
        interrupt: its line; the PIIX4's leads nowhere.
        has_buffer: whether the block buffer is on from the start, as in QEMU's PIIX4.
    """

    title = "PIIX4 and ICH9 SMBus host controller"
    registers = REGISTERS
    kept_by_reset = ("*",)

    def __init__(self, interrupt: Line | None = None, *, has_buffer: bool = False) -> None:
        self._interrupt = Line() if interrupt is None else interrupt
        self._bus = Eeproms()
        self.is_i2c = False
        """HOSTC.I2C_EN of the ICH9: blocks have no length byte."""
        self._values = {HST_CNT: 0, HST_CMD: 0, XMIT_SLVA: 0, HST_D0: 0, HST_D1: 0, AUX_CTL: E32B if has_buffer else 0}
        self._block_byte = 0
        self._buffer = bytearray(BUFFER_SIZE)
        self._waits_for_status = False
        self._is_i2c_read = False
        self.stop()

    @classmethod
    def alone(cls, clock: Clock) -> Self:
        """See `Device.alone`."""
        return cls()

    def stop(self) -> None:
        """SSRESET of the ICH9: forget the transfer."""
        self._status = 0
        self._index = 0
        self._is_done = True

    def reset(self) -> None:
        """See `Device.reset`."""

    def read(self, offset: int, size: int) -> int:
        """See `Device.read`."""
        if offset == HST_STS:
            value = self._status
            if self._waits_for_status:
                self._waits_for_status = False
                self._status &= ~HOST_BUSY
                self._transfer()
        elif offset == BLOCK_DB:
            value = self._read_block_byte()
        else:
            value = self._values.get(offset, 0) & (CNT_READABLE if offset == HST_CNT else 0xFF)
        self._drive()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """See `Device.write`."""
        if offset == HST_STS:
            goes_on = self._status & value & BYTE_DONE
            self._status &= ~(value & ~HOST_BUSY)
            if goes_on and not self._is_done and (self._is_i2c_read or not self._values[AUX_CTL] & E32B):
                self._next_byte()
        elif offset == HST_CNT:
            self._control(value)
        elif offset == BLOCK_DB:
            if self._values[AUX_CTL] & E32B:
                self._index %= BUFFER_SIZE
                self._buffer[self._index] = value
                self._index += 1
            else:
                self._block_byte = value
        elif offset in self._values:
            self._values[offset] = value & 0x3 if offset == AUX_CTL else value
        self._drive()

    def _control(self, value: int) -> None:
        self._values[HST_CNT] = value & ~START
        if value & START:
            if not self._is_done:
                self._index = 0
                self._is_done = True
                self._is_i2c_read = False
            if value & INTREN:
                self._transfer()
                self._waits_for_status = False
            else:
                self._status |= HOST_BUSY
                self._waits_for_status = True
        if value & KILL:
            self._is_done = True
            self._index = 0
            self._status = (self._status | FAILED) & ~HOST_BUSY

    def _read_block_byte(self) -> int:
        if not self._values[AUX_CTL] & E32B or self._is_i2c_read:
            return self._block_byte
        self._index %= BUFFER_SIZE
        value = self._buffer[self._index]
        self._index += 1
        if not self._is_done and self._index == self._values[HST_D0]:
            self._is_done = True
            self._index = 0
            self._status &= ~HOST_BUSY
        return value

    # Transfers

    def _transfer(self) -> None:
        """Make the transfer that HST_CNT asks for."""
        values = self._values
        protocol, is_read, address = values[HST_CNT] >> 2 & 7, values[XMIT_SLVA] & 1, values[XMIT_SLVA] >> 1
        if self._status & DEV_ERR:
            return
        if protocol == BLOCK and not is_read:
            self._write_block(address)
            return
        if not self._bus.answers(address):
            self._status |= DEV_ERR
            return
        if protocol == BLOCK:
            self._read_block(address)
            return
        if protocol == I2C_READ:
            self._bus.send(address, [values[HST_D1]])
            self._is_i2c_read = True
            self._block_byte = self._bus.receive(address)
            self._is_done = False
            self._status |= HOST_BUSY | BYTE_DONE
            return
        if protocol not in (QUICK, BYTE, BYTE_DATA, WORD_DATA):
            self._status |= DEV_ERR
            return
        if is_read:
            if protocol >= BYTE_DATA:
                self._bus.send(address, [values[HST_CMD]])
            if protocol >= BYTE:
                values[HST_D0] = self._bus.receive(address)
            if protocol == WORD_DATA:
                values[HST_D1] = self._bus.receive(address)
        elif protocol != QUICK:
            data = [values[HST_CMD], values[HST_D0], values[HST_D1]]
            self._bus.send(address, data[:protocol])
        self._status |= INTR

    def _read_block(self, address: int) -> None:
        length = BUFFER_SIZE
        if not self.is_i2c:
            self._bus.send(address, [self._values[HST_CMD]])
            length = self._bus.receive(address)
            if length > BUFFER_SIZE:
                length = 0
        for at in range(length):
            self._buffer[at] = self._bus.receive(address)
        self._index = 0
        self._is_done = False
        if self._values[AUX_CTL] & E32B:
            self._status |= INTR
        else:
            self._block_byte = self._buffer[0]
            self._status |= HOST_BUSY | BYTE_DONE
        self._values[HST_D0] = length

    def _write_block(self, address: int) -> None:
        if not self._values[AUX_CTL] & E32B:
            self._is_done = False
            self._status |= HOST_BUSY | BYTE_DONE
            self._buffer[0] = self._block_byte
            self._index = 0
            return
        index, self._index = self._index, 0
        if index != self._values[HST_D0]:
            self._status |= DEV_ERR
            return
        self._send_block(address)

    def _send_block(self, address: int) -> None:
        length = min(self._values[HST_D0], BUFFER_SIZE)
        if not self._bus.answers(address):
            self._status |= DEV_ERR
            return
        data = [self._values[HST_CMD], *([] if self.is_i2c else [length]), *self._buffer[:length]]
        self._bus.send(address, data)
        self._is_done = True
        self._status = (self._status | INTR) & ~HOST_BUSY

    def _next_byte(self) -> None:
        """BYTE_DONE was cleared: a block without buffer goes on."""
        address = self._values[XMIT_SLVA] >> 1
        is_read = self._is_i2c_read or self._values[XMIT_SLVA] & 1
        self._index = (self._index + 1) % BUFFER_SIZE
        if not is_read and self._index == self._values[HST_D0]:
            self._send_block(address)
            return
        if not is_read:
            self._buffer[self._index] = self._block_byte
            self._status |= BYTE_DONE
            return
        self._block_byte = self._bus.receive(address) if self._is_i2c_read else self._buffer[self._index]
        if self._values[HST_CNT] & LAST_BYTE:
            self._is_done = True
            self._is_i2c_read = False
            self._index = 0
            self._status = (self._status | INTR) & ~HOST_BUSY
        else:
            self._status |= BYTE_DONE

    def _drive(self) -> None:
        self._interrupt.set(bool(self._status & ~HOST_BUSY) and bool(self._values[HST_CNT] & INTREN))

    def state(self) -> Mapping[str, int]:
        """See `Device.state`."""
        names = {register.offset: register.name.lower() for register in REGISTERS}
        return {names[offset]: value for offset, value in self._values.items()} | {
            "hst_sts": self._status, "block_byte": self._block_byte, "index": self._index,
            "done": int(self._is_done), "waits": int(self._waits_for_status), "i2c_read": int(self._is_i2c_read),
            "buffer": int.from_bytes(self._buffer, "little"), "i2c": int(self.is_i2c),
        }  # fmt: skip
