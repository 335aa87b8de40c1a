"""One port of an AHCI controller: its registers, and what commands from memory and the host's pace leave to infer.

Source: AHCI 1.3.1, section 3.3 "Port Registers" and 5.3 "HBA Port State Machine".

Commands are in the guest's memory, which no access shows, so a port knows of a command only its slot, and whether it is
queued (PxSACT was set for it). It expects every command to end at once and well. What reads show instead, a command
that transferred data by PIO, that failed or that is not done yet, is taken over from them as long as it can be so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

CMD_ST, CMD_SUD, CMD_POD, CMD_FRE, CMD_FR, CMD_CR = 0x0001, 0x0002, 0x0004, 0x0010, 0x4000, 0x8000
CMD_READ_ONLY: Final = 0x007D_FFE0
CMD_ICC: Final = 0xF000_0000
IS_DHRS, IS_PSS, IS_SDBS, IS_TFES = 0x1, 0x2, 0x8, 0x4000_0000
IE_MASK: Final = 0xFDC0_00FF
SCTL_DET: Final = 0x0F
SSTS_ACTIVE_GEN_1: Final = 0x113
TFD_RESET: Final = 0x7F
TFD_DONE: Final = 0x0050
TFD_ABORTED: Final = 0x0441
SIGNATURE_NONE: Final = 0xFFFF_FFFF

PLAIN_ENDS: Final = IS_DHRS | IS_PSS | IS_TFES
QUEUED_ENDS: Final = IS_SDBS | IS_TFES
"""Bits of PxIS by which a command can end."""


class AhciPort:
    """See the module.

    Args:
        changed: called when PxIS or PxIE changed.
        present: there is a drive.
        packet: it is an ATAPI drive.
        foresees: whether a CPU may be recorded to see a command's end before another one's access that issued it.
    """

    def __init__(
        self, changed: Callable[[], None], *, present: bool = False, packet: bool = False, foresees: bool = False
    ) -> None:
        self._changed = changed
        self._foresees = foresees
        self.present = present
        # PxTFD and PxSIG as the drive's first register FIS has them; QEMU's empty port sends one, too
        self._first_fis = (0x0170, 0xEB14_0101) if packet else (0x0130, 0x0000_0101)
        if not present:
            self._first_fis = (TFD_DONE, 0xFFFF_0101)
        self.clb = self.clbu = self.fb = self.fbu = self.ci = 0
        self.reset()

    def reset(self) -> None:
        """HBA reset (10.4.3): QEMU keeps the addresses and PxCI."""
        self.interrupts = self.enabled = self.sctl = 0
        self.cmd = CMD_SUD | CMD_POD
        self.reset_drive()

    def reset_drive(self) -> None:
        """COMRESET (10.4.2), as far as QEMU performs it."""
        self.serr = self.sact = 0
        self.tfd = TFD_RESET
        self.sig = SIGNATURE_NONE
        self._greeted = False
        self.plain = self.queued = 0
        """Slots of commands that no read has shown to have ended, not queued and queued ones."""
        self._guessed = 0
        """Bits that PxIS has because a command is expected to have ended."""
        self._tfd_open = False
        """No read has shown PxTFD since a command ended."""
        self._ci_seen = self._sact_seen = False
        self._foreseen = False
        """A command that is still to be issued has ended, and its interrupt was seen."""
        self._early = 0
        """Slots of queued commands that are still to be issued and have ended."""
        if self.present:
            self._greet()

    def _greet(self) -> None:
        """The drive's first register FIS (5.3.8): sent once, as soon as it can be received."""
        if self.cmd & CMD_FRE and not self._greeted:
            self._greeted = True
            self.tfd, self.sig = self._first_fis
            self._raise(IS_DHRS)

    def _raise(self, bits: int) -> None:
        self.interrupts |= bits
        self._changed()

    # Reads with an effect on what is inferred

    def read_ci(self) -> int:
        """PxCI. What it showed as ended before has ended."""
        if self._ci_seen:
            self.plain &= self.ci
        self._ci_seen = True
        return self.ci

    def read_sact(self) -> int:
        """PxSACT. As `read_ci`."""
        if self._sact_seen:
            self.queued &= self.sact
        self._sact_seen = True
        return self.sact

    # Writes

    def write_is(self, value: int) -> None:
        """PxIS (3.3.5): 1s clear."""
        self.interrupts &= ~value
        self._guessed &= ~value
        self._changed()

    def write_ie(self, value: int) -> None:
        """PxIE (3.3.6)."""
        self.enabled = value & IE_MASK
        self._changed()

    def write_cmd(self, value: int) -> None:
        """PxCMD (3.3.7): CR and FR follow ST and FRE at once; QEMU clears ICC."""
        if self.cmd & CMD_ST and not value & CMD_ST:
            self.ci = self.sact = self.plain = self.queued = 0
        cmd = self.cmd & CMD_READ_ONLY | value & ~(CMD_READ_ONLY | CMD_ICC)
        cmd = cmd | CMD_CR if cmd & CMD_ST else cmd & ~CMD_CR
        self.cmd = cmd | CMD_FR if cmd & CMD_FRE else cmd & ~CMD_FR
        self._greet()
        self._execute(self.ci)

    def write_sctl(self, value: int) -> None:
        """PxSCTL (3.3.11): DET from 1 to 0 ends a COMRESET."""
        if self.sctl & SCTL_DET == 1 and not value & SCTL_DET:
            self.reset_drive()
        self.sctl = value

    def write_serr(self, value: int) -> None:
        """PxSERR (3.3.12): 1s clear."""
        self.serr &= ~value

    def write_sact(self, value: int) -> None:
        """PxSACT (3.3.13): 1s set. As in `write_ci`."""
        self.plain &= ~value
        self.queued &= ~value
        self.sact |= value

    def write_ci(self, value: int) -> None:
        """PxCI (3.3.14). A slot that is used again was free: its last command has ended, whatever it seemed."""
        self.plain &= ~value
        self.ci |= value
        self._execute(self.ci)

    def _execute(self, slots: int) -> None:
        """Take commands; those that are known to be under way go on."""
        if not self.cmd & CMD_ST or not self.present:
            return
        fresh = slots & ~self.plain
        if not fresh:
            return
        queued = fresh & (self.sact | self._early)
        plain = fresh & ~queued
        self._early &= ~fresh
        self.ci &= ~fresh
        self.sact &= ~queued
        self.plain |= plain
        self.queued |= queued
        self._ci_seen = self._sact_seen = False
        if self._foreseen:
            self._foreseen = False
        else:
            self._end((IS_DHRS if plain else 0) | (IS_SDBS if queued else 0))

    def _end(self, bits: int) -> None:
        """Commands have ended, as far as is known."""
        if self.cmd & CMD_FRE:
            self.tfd = TFD_DONE
            self._tfd_open = True
            self._guessed |= bits & ~self.interrupts
            self._raise(bits)

    # What reads show

    def assume_is(self, hw: int) -> bool:
        """PxIS is `hw`: commands ended otherwise, or have not ended."""
        more, less = hw & ~self.interrupts, self.interrupts & ~hw
        possible = (PLAIN_ENDS if self.plain else 0) | (QUEUED_ENDS if self.queued else 0)
        foreseen = bool(more & ~possible) and self._foresees and self.present and bool(self.cmd & CMD_ST)
        if foreseen:
            possible = PLAIN_ENDS | QUEUED_ENDS
        if more & ~possible or less & ~self._guessed:
            return False
        self._foreseen = self._foreseen or foreseen
        self.interrupts = hw
        self._guessed &= hw
        if more & IS_TFES:
            self.ci |= self.plain
            self.tfd = TFD_ABORTED
            self._tfd_open = True
        else:
            if hw & PLAIN_ENDS:
                self.ci &= ~self.plain
            elif less & IS_DHRS:
                self.ci |= self.plain
            if hw & IS_SDBS:
                self.sact &= ~self.queued
            elif less & IS_SDBS:
                self.sact |= self.queued
            if more:
                self.tfd = TFD_DONE
                self._tfd_open = True
        self._changed()
        return True

    def assume_pending(self, pending: bool) -> bool:
        """IS shows that this port does, or does not, ask for an interrupt."""
        if pending:
            ends = (IS_DHRS if self.plain else 0) | (IS_SDBS if self.queued else 0) or IS_DHRS | IS_SDBS
            if not ends & self.enabled or not self.assume_is(self.interrupts | ends):
                return False
            if ends & ends - 1:  # either would do
                self._guessed |= ends
            return True
        return self.assume_is(self.interrupts & ~(self._guessed & self.enabled)) and not self.asks()

    def assume_ci(self, hw: int) -> bool:
        """PxCI is `hw`: other commands have ended."""
        if (self.ci ^ hw) & ~self.plain:
            return False
        self.ci = hw
        return True

    def assume_sact(self, hw: int) -> bool:
        """PxSACT is `hw`: other queued commands have ended."""
        if self._foreseen:
            self._early |= self.sact & ~hw & ~self.queued
        if (self.sact ^ hw) & ~self.queued & ~self._early:
            return False
        self.sact = hw
        return True

    def assume_tfd(self, hw: int) -> bool:
        """PxTFD is `hw`: a command ended otherwise."""
        if not self._tfd_open or hw > 0xFFFF:
            return False
        self.tfd = hw
        self._tfd_open = False
        return True

    def asks(self) -> bool:
        """Whether the port asks for an interrupt."""
        return bool(self.interrupts & self.enabled)

    def state(self, prefix: str) -> dict[str, int]:
        """What matters, by name."""
        return {
            f"{prefix}clb": self.clb | self.clbu << 32,
            f"{prefix}fb": self.fb | self.fbu << 32,
            f"{prefix}is": self.interrupts,
            f"{prefix}ie": self.enabled,
            f"{prefix}cmd": self.cmd,
            f"{prefix}tfd": self.tfd,
            f"{prefix}sig": self.sig,
            f"{prefix}sctl": self.sctl,
            f"{prefix}serr": self.serr,
            f"{prefix}sact": self.sact,
            f"{prefix}ci": self.ci,
            f"{prefix}open": self.plain | self.queued,
        }
