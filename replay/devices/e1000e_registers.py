"""Registers of the 82574 beyond those that it shares with the 8254x, aliases, reset values, and what writes keep.

Source: Intel 82574 GbE Controller Family Datasheet, revision 3.4, chapter 10.

Follows QEMU in reset values, in the bits that writes keep, and in what is not there.
"""

from __future__ import annotations

from typing import Final

from ..registers import Field, Register, RegisterMap, bit
from . import e1000_registers as r

CTRL_DUP, CTRL_EXT, FLA, EIAC, IAM, IVAR, EITR = 0x004, 0x018, 0x01C, 0x0DC, 0x0E0, 0x0E4, 0x0E8
EXTCNF_CTRL, POEMB, PBS, EEWR, PSRCTL, RAID, RSRPD = 0xF00, 0xF10, 0x1008, 0x102C, 0x2170, 0x2C08, 0x2C00
RDLEN1, RDH1, RDT1, RXDCTL1 = 0x2908, 0x2910, 0x2918, 0x2928
TDLEN1, TDH1, TDT1, TARC0, TARC1 = 0x3908, 0x3910, 0x3918, 0x3840, 0x3940
IAC, RFCTL, GCR, FWSM, PBACLR = 0x4100, 0x5008, 0x5B00, 0x5B54, 0x5B68
SYSTIML, SYSTIMH, TIMINCA, TIMADJL, TIMADJH = 0xB600, 0xB604, 0xB608, 0xB60C, 0xB610
TSYNCTXCTL, TXSTMPL, TXSTMPH, TSYNCRXCTL, RXSTMPL, RXSTMPH, RXSATRL, RXSATRH = range(0xB614, 0xB634, 4)
FTFT, MDEF, RETA, RSSRK, MAVTV, PBM = 0x9400, 0x5890, 0x5C00, 0x5C80, 0x5010, 0x1_0000
IO_AT, IO_SPAN = 0x2_0000, 0x20
VECTORS: Final = 5

ROWS: Final[tuple[r.Row, ...]] = (
    ("CTRL_DUP", "Device control, the same again", CTRL_DUP, "w"),
    ("EIAC", "Extended interrupt auto clear", EIAC, "rw"), ("IAM", "Interrupt acknowledge auto mask", IAM, "rw"),
    ("IVAR", "Interrupt vector allocation", IVAR, "rw"),
    *((f"EITR[{n}]", "Extended interrupt throttling rate", EITR + 4 * n, "rw") for n in range(VECTORS)),
    ("EXTCNF_CTRL", "Extended configuration control", EXTCNF_CTRL, "rw"),
    ("EXTCNF_SIZE", "Extended configuration size", 0xF08, "rw"), ("POEMB", "PHY OEM bits", POEMB, "rw"),
    ("PBS", "Packet buffer size", PBS, "rw"), ("EEMNGCTL", "Management EEPROM control", 0x1010, "rw"),
    ("EEMNGDATA", "Management EEPROM data", 0x1014, "r"), ("FLMNGCTL", "Management flash control", 0x1018, "r"),
    ("FLMNGDATA", "Management flash data", 0x101C, "r"), ("FLMNGCNT", "Management flash count", 0x1020, "r"),
    ("FLASHT", "Flash timer", 0x1028, "rw"), ("EEWR", "EEPROM write", EEWR, "rw"),
    ("FLSWCTL", "Flash burst control", 0x1030, "rw"), ("FLSWDATA", "Flash burst data", 0x1034, "rw"),
    ("FLSWCNT", "Flash burst count", 0x1038, "rw"), ("FLOP", "Flash opcode", 0x103C, "rw"),
    ("FLOL", "Flash auto load", 0x1050, "rw"), ("PSRCTL", "Packet split receive control", PSRCTL, "rw"),
    ("RDBAL1", "Receive descriptor base, low, queue 1", 0x2900, "rw"),
    ("RDBAH1", "Receive descriptor base, high, queue 1", 0x2904, "rw"),
    ("RDLEN1", "Receive descriptor length, queue 1", RDLEN1, "rw"),
    ("RDH1", "Receive descriptor head, queue 1", RDH1, "rw"), ("RDT1", "Receive descriptor tail, queue 1", RDT1, "rw"),
    ("RXDCTL1", "Receive descriptor control, queue 1", RXDCTL1, "rw"),
    ("RAID", "Receive acknowledge interrupt delay", RAID, "rw"),
    ("TARC0", "Transmit arbitration count, queue 0", TARC0, "rw"),
    ("TDBAL1", "Transmit descriptor base, low, queue 1", 0x3900, "rw"),
    ("TDBAH1", "Transmit descriptor base, high, queue 1", 0x3904, "rw"),
    ("TDLEN1", "Transmit descriptor length, queue 1", TDLEN1, "rw"),
    ("TDH1", "Transmit descriptor head, queue 1", TDH1, "rw"),
    ("TDT1", "Transmit descriptor tail, queue 1", TDT1, "rw"),
    ("TXDCTL1", "Transmit descriptor control, queue 1", 0x3928, "rw"),
    ("TARC1", "Transmit arbitration count, queue 1", TARC1, "rw"),
    ("IAC", "Interrupt assertion count", IAC, "r"),
    ("ICRXPTC", "Receive packet timer expirations", 0x4104, "r"),
    ("ICRXATC", "Receive absolute timer expirations", 0x4108, "r"),
    ("ICTXPTC", "Transmit packet timer expirations", 0x410C, "r"),
    ("ICTXATC", "Transmit absolute timer expirations", 0x4110, "r"),
    ("ICTXQEC", "Transmit queue empty count", 0x4118, "r"),
    ("ICTXQMTC", "Transmit queue minimum threshold count", 0x411C, "r"),
    ("ICRXDMTC", "Receive descriptor minimum threshold count", 0x4120, "r"),
    ("ICRXOC", "Receiver overrun count", 0x4124, "r"), ("RFCTL", "Receive filter control", RFCTL, "rw"),
    *((f"MAVTV[{n}]", "Management VLAN tag", MAVTV + 4 * n, "rw") for n in range(4)),
    ("MRQC", "Multiple receive queues command", 0x5818, "rw"), ("MFVAL", "Management filters valid", 0x5824, "rw"),
    ("MFUTP01", "Management flexible ports 0 and 1", 0x5828, "rw"),
    ("MFUTP23", "Management flexible ports 2 and 3", 0x5830, "rw"),
    ("MANC2H", "Management control to host", 0x5860, "rw"), ("GCR", "PCI Express control", GCR, "rw"),
    *((f"MDEF[{n}]", "Management decision filter", MDEF + 4 * n, "rw") for n in range(8)),
    ("FUNCTAG", "Function tag", 0x5B08, "rw"),
    *((f"GSCL_{n + 1}", "PCI Express statistics control", 0x5B10 + 4 * n, "rw") for n in range(4)),
    *((f"GSCN_{n}", "PCI Express statistics counter", 0x5B20 + 4 * n, "rw") for n in range(4)),
    ("FACTPS", "Function active and power state", 0x5B30, "rw"),
    ("FWSM", "Firmware semaphore", FWSM, "r"), ("SW_FW_SYNC", "Software and firmware synchronization", 0x5B5C, "r"),
    ("GCR2", "PCI Express control 2", 0x5B64, "rw"), ("PBACLR", "MSI-X pending bits clear", PBACLR, "rw"),
    ("FCRTV", "Flow control refresh threshold", 0x5F40, "rw"),
    *((f"RETA[{n}]", "Redirection table", RETA + 4 * n, "rw") for n in range(32)),
    *((f"RSSRK[{n}]", "RSS random key", RSSRK + 4 * n, "rw") for n in range(10)),
    *((f"FTFT[{n}]", "Flexible TCO filter table", FTFT + 4 * n, "rw") for n in range(128)),
    ("SYSTIML", "System time, low", SYSTIML, "rw"), ("SYSTIMH", "System time, high", SYSTIMH, "rw"),
    ("TIMINCA", "Time increment attributes", TIMINCA, "rw"), ("TIMADJL", "Time adjustment, low", TIMADJL, "rw"),
    ("TIMADJH", "Time adjustment, high", TIMADJH, "rw"),
    ("TSYNCTXCTL", "Transmit time synchronization control", TSYNCTXCTL, "rw"),
    ("TXSTMPL", "Transmit time stamp, low", TXSTMPL, "rw"), ("TXSTMPH", "Transmit time stamp, high", TXSTMPH, "rw"),
    ("TSYNCRXCTL", "Receive time synchronization control", TSYNCRXCTL, "rw"),
    ("RXSTMPL", "Receive time stamp, low", RXSTMPL, "rw"), ("RXSTMPH", "Receive time stamp, high", RXSTMPH, "rw"),
    ("RXSATRL", "Receive time stamp attributes, low", RXSATRL, "rw"),
    ("RXSATRH", "Receive time stamp attributes, high", RXSATRH, "rw"),
    ("RXCFGL", "Receive Ethertype and message type", 0xB634, "rw"), ("RXUDP", "Receive UDP port", 0xB638, "rw"),
    ("PBM", "Packet buffer memory, first word of 10240", PBM, "rw"),
    ("IOADDR", "Address of the register that IODATA shows", IO_AT, "rw"),
)  # fmt: skip

RESETS: Final = {
    r.CTRL: 0x0014_0241, r.STATUS: 0x202, r.PBA: 0x0014_0014, r.LEDCTL: 0x0006_8302, EXTCNF_CTRL: 8,
    0x1010: 0x8000_0000, 0x1028: 2, 0x1030: 0xC000_0000, 0x1050: 1, r.RXDCTL: 0x1_0000, RXDCTL1: 0x1_0000,
    0x410: 0x0060_2008, 0xB634: 0x88F7, 0xB638: 0x319, PSRCTL: 0x0004_0402, TARC0: 0x403, TARC1: 0x403, r.EECD: 0x300,
    r.EERD: 2, EEWR: 2, GCR: 0x0680_0200, r.TDFH: 0x600, r.TDFT: 0x600, r.TDFHS: 0x600, r.TDFTS: 0x600, POEMB: 0x30D,
    PBS: 0x28, r.MANC: 0x1000_0000, 0x5B30: 0x2000_0004, r.SWSM: 1, 0x5000: 0x300,
}  # fmt: skip
KEPT_BY_SOFTWARE: Final = (r.PBA, PBS, FLA)
"""What CTRL.RST leaves alone."""

WHOLE: Final = (
    r.PBA, r.SWSM, r.WUFC, 0x2904, r.TDBAH, r.TXDCTL, r.RDBAH, r.LEDCTL, r.FCAL, r.STATISTIC_AT["FCRUC"], r.WUC, r.WUS,
    r.IPAV, 0x3904, IAM, EIAC, IVAR, TARC0, TARC1, 0x1034, POEMB, 0x5828, 0x5830, r.MANC, 0x5860, 0x5824, EXTCNF_CTRL,
    0x5B30, 0x5B08, *range(0x5B10, 0x5B30, 4), 0x5B64, 0x5818, 0x103C, 0x1050, 0x1030, 0x1038, FLA, RXDCTL1, 0x3928,
    0x410, RXSTMPH, RXSTMPL, RXSATRL, RXSATRH, TXSTMPL, TXSTMPH, SYSTIML, SYSTIMH, TIMADJL, 0xB638, 0xB634, TSYNCRXCTL,
    TSYNCTXCTL, 0xF08, 0x1010, 0x5000, RFCTL,
)  # fmt: skip
TABLES: Final = (
    (r.IP6AT, 4), (r.IP4AT, 7), (r.RAL0, 32), (r.WUPM, 32), (r.MTA, 128), (r.VFTA, 128), (r.FFVT, 255), (PBM, 10240),
    (MDEF, 8), (FTFT, 255), (RETA, 32), (RSSRK, 32), (MAVTV, 4),
)  # fmt: skip
MASKS: Final = (
    {at: 0xFFFF for at in (r.TDH, TDH1, r.RDH, RDH1, r.RDT, RDT1, r.RADV, r.TADV, r.AIT, RAID, r.FCAH, r.FCT, r.FCTTV,
                           0x5F40, 0x1028, r.VET)}
    | {at: 0x1FFF for at in (r.TDFH, r.TDFT, r.TDFHS, r.TDFTS, r.TDFPC, r.RDFH, r.RDFT, r.RDFHS, r.RDFTS, r.RDFPC)}
    | {at: 0xF_FF80 for at in (r.TDLEN, TDLEN1, r.RDLEN, RDLEN1)}
    | {at: 0xFFFF_FFF0 for at in (r.TDBAL, 0x3900, r.RDBAL, 0x2900)}
    | {at: 0x7FF for at in range(r.FFLT, r.FFLT + 44, 4)}
    | {at: 0xF for at in range(r.FFMT, r.FFMT + 4 * 255, 4)}
    | {PBS: 0x3F, RSRPD: 0xFFF, PBACLR: 0x1F, 0x2168: 0xFFF8, 0x2160: 0x8000_FFF8}
)  # fmt: skip
STORED: Final = (
    dict.fromkeys(WHOLE, 0xFFFF_FFFF)
    | {at: 0xFFFF_FFFF for first, words in TABLES for at in range(first, first + 4 * words, 4)}
    | MASKS
)
"""Registers that do nothing but keep these bits of what is written to them."""

ALIASES: Final = (
    {0x168: 0x2160, 0x160: 0x2168, 0x108: r.RDTR, 0x110: r.RDBAL, 0x114: r.RDBAH, 0x118: r.RDLEN, 0x120: r.RDH,
     0x128: r.RDT, 0x420: r.TDBAL, 0x424: r.TDBAH, 0x428: r.TDLEN, 0x430: r.TDH, 0x438: r.TDT, 0x440: r.TIDV,
     0x8000: r.RDFH, 0x8008: r.RDFT, 0x8010: r.TDFH, 0x8018: r.TDFT}
    | {0x040 + 4 * n: r.RAL0 + 4 * n for n in range(32)}
    | {0x600 + 4 * n: r.VFTA + 4 * n for n in range(128)}
)  # fmt: skip
"""Second offsets of registers."""

_IVAR_FIELDS: Final = (
    Field("RXQ0", 3, 0), Field("RXQ1", 7, 4), Field("TXQ0", 11, 8), Field("TXQ1", 15, 12), Field("Other", 19, 16),
    bit("Interrupt on every write-back", 31),
)  # fmt: skip


def registers() -> RegisterMap:
    """All of them. Throttling rates, the time and IOADDR survive a reset."""
    resets = RESETS | {r.STATUS: 0x8_0283, r.RAL0: 0x1200_5452, r.RAH0: 0x8000_5634, r.VET: 0x8100}
    untold = frozenset((SYSTIML, IO_AT, *range(EITR, EITR + 4 * VECTORS, 4)))
    rows = [row for row in ROWS if row[2] != IVAR]
    shared = [
        Register(row.name, row.title, row.offset, row.access, row.fields, None, None, 32)
        if row.offset == r.ITR
        else Register(row.name, row.title, row.offset, "rw", row.fields, None, row.reset, 32)
        if row.offset in (r.STATUS, r.MANC)
        else row
        for row in r.common(resets)
    ]
    return RegisterMap(
        *shared,
        *r.declare(rows, resets, untold),
        Register("IVAR", "Interrupt vector allocation", IVAR, "rw", _IVAR_FIELDS, reset=0, width=32),
        Register("IODATA", "The register at IOADDR", IO_AT + 4, "rw", width=32),
    )
