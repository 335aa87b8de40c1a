"""Registers that the gigabit controllers 8254x and 82574 share: names, offsets, and bits of the common ones.

Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, revision 4.0, chapter 13;
Intel 82574 GbE Controller Family Datasheet, revision 3.4, chapter 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from ..registers import Field, Register, bit

CTRL, STATUS, EECD, EERD, MDIC, FCAL, FCAH, FCT, VET = 0x000, 0x008, 0x010, 0x014, 0x020, 0x028, 0x02C, 0x030, 0x038
ICR, ITR, ICS, IMS, IMC, RCTL, FCTTV, TCTL = 0x0C0, 0x0C4, 0x0C8, 0x0D0, 0x0D8, 0x100, 0x170, 0x400
AIT, LEDCTL, PBA = 0x458, 0xE00, 0x1000
RDBAL, RDBAH, RDLEN, RDH, RDT, RDTR, RXDCTL, RADV = 0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x2820, 0x2828, 0x282C
TDBAL, TDBAH, TDLEN, TDH, TDT, TIDV, TXDCTL, TADV = 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828, 0x382C
RDFH, RDFT, RDFHS, RDFTS, RDFPC = 0x2410, 0x2418, 0x2420, 0x2428, 0x2430
TDFH, TDFT, TDFHS, TDFTS, TDFPC = 0x3410, 0x3418, 0x3420, 0x3428, 0x3430
GORCL, GORCH, GOTCL, GOTCH, TORL, TORH, TOTL, TOTH = 0x4088, 0x408C, 0x4090, 0x4094, 0x40C0, 0x40C4, 0x40C8, 0x40CC
MTA, RAL0, RAH0, VFTA, WUC, WUFC, WUS, MANC = 0x5200, 0x5400, 0x5404, 0x5600, 0x5800, 0x5808, 0x5810, 0x5820
IPAV, IP4AT, IP6AT, WUPM, SWSM, FFLT, FFMT, FFVT = 0x5838, 0x5840, 0x5880, 0x5A00, 0x5B50, 0x5F00, 0x9000, 0x9800

STATUS_LU: Final = 1 << 1
EECD_SK, EECD_CS, EECD_DI, EECD_DO, EECD_FWE, EECD_REQ, EECD_GNT, EECD_PRES = 1, 2, 4, 8, 0x30, 0x40, 0x80, 0x100
MDIC_DATA, MDIC_WRITE, MDIC_READ, MDIC_READY, MDIC_INT, MDIC_ERROR = 0xFFFF, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
ICR_TXDW, ICR_TXQE, ICR_LSC, ICR_RXDMT0, ICR_RXO, ICR_RXT0, ICR_MDAC = 1, 2, 4, 1 << 4, 1 << 6, 1 << 7, 1 << 9
RCTL_EN, TCTL_EN, RAH_AV = 1 << 1, 1 << 1, 1 << 31

CTRL_FIELDS: Final = (
    bit("FD", 0), bit("GIO Master Disable", 2), bit("LRST", 3), bit("ASDE", 5), bit("SLU", 6), bit("ILOS", 7),
    Field("SPEED", 9, 8), bit("FRCSPD", 11), bit("FRCDPLX", 12), bit("SDP0_DATA", 18), bit("SDP1_DATA", 19),
    bit("ADVD3WUC", 20), bit("EN_PHY_PWR_MGMT", 21), bit("SDP0_IODIR", 22), bit("SDP1_IODIR", 23), bit("RST", 26),
    bit("RFCE", 27), bit("TFCE", 28), bit("VME", 30), bit("PHY_RST", 31),
)  # fmt: skip
STATUS_FIELDS: Final = (
    bit("FD", 0), bit("LU", 1), Field("Function ID", 3, 2), bit("TXOFF", 4), Field("SPEED", 7, 6), Field("ASDV", 9, 8),
    bit("PHYRA", 10), bit("GIO Master Enable", 19),
)  # fmt: skip
EECD_FIELDS: Final = (
    bit("SK", 0), bit("CS", 1), bit("DI", 2), bit("DO", 3), Field("FWE", 5, 4), bit("REQ", 6), bit("GNT", 7),
    bit("PRES", 8), bit("AUTO_RD", 9),
)  # fmt: skip
MDIC_FIELDS: Final = (
    Field("DATA", 15, 0), Field("REGADD", 20, 16), Field("PHYADD", 25, 21), Field("OP", 27, 26), bit("R", 28),
    bit("I", 29), bit("E", 30),
)  # fmt: skip
CAUSES: Final = (
    bit("TXDW", 0), bit("TXQE", 1), bit("LSC", 2), bit("RXSEQ", 3), bit("RXDMT0", 4), bit("RXO", 6), bit("RXT0", 7),
    bit("MDAC", 9), bit("RXCFG", 10), Field("GPI", 14, 11), bit("TXD_LOW", 15), bit("SRPD", 16), bit("ACK", 17),
    bit("MNG", 18), bit("RxQ0", 20), bit("RxQ1", 21), bit("TxQ0", 22), bit("TxQ1", 23), bit("Other", 24),
    bit("INT_ASSERTED", 31),
)  # fmt: skip

Row = tuple[str, str, int, Literal["r", "w", "rw"]]

COMMON_ROWS: Final[tuple[Row, ...]] = (
    ("EERD", "EEPROM read", EERD, "rw"), ("CTRL_EXT", "Extended device control", 0x018, "rw"),
    ("FLA", "Flash access", 0x01C, "rw"), ("FCAL", "Flow control address, low", FCAL, "rw"),
    ("FCAH", "Flow control address, high", FCAH, "rw"), ("FCT", "Flow control type", FCT, "rw"),
    ("VET", "VLAN Ethernet type", VET, "rw"), ("ITR", "Interrupt throttling rate", ITR, "rw"),
    ("RCTL", "Receive control", RCTL, "rw"), ("FCTTV", "Flow control transmit timer value", FCTTV, "rw"),
    ("TCTL", "Transmit control", TCTL, "rw"), ("TIPG", "Transmit inter-packet gap", 0x410, "rw"),
    ("AIT", "Adaptive inter-frame spacing throttle", AIT, "rw"), ("LEDCTL", "LED control", LEDCTL, "rw"),
    ("PBA", "Packet buffer allocation", PBA, "rw"),
    ("FCRTL", "Flow control receive threshold, low", 0x2160, "rw"),
    ("FCRTH", "Flow control receive threshold, high", 0x2168, "rw"),
    ("RDFH", "Receive data FIFO head", RDFH, "rw"), ("RDFT", "Receive data FIFO tail", RDFT, "rw"),
    ("RDFHS", "Receive data FIFO head, saved", RDFHS, "rw"), ("RDFTS", "Receive data FIFO tail, saved", RDFTS, "rw"),
    ("RDFPC", "Receive data FIFO packet count", RDFPC, "rw"),
    ("RDBAL", "Receive descriptor base, low", RDBAL, "rw"), ("RDBAH", "Receive descriptor base, high", RDBAH, "rw"),
    ("RDLEN", "Receive descriptor length", RDLEN, "rw"), ("RDH", "Receive descriptor head", RDH, "rw"),
    ("RDT", "Receive descriptor tail", RDT, "rw"), ("RDTR", "Receive delay timer", RDTR, "rw"),
    ("RXDCTL", "Receive descriptor control", RXDCTL, "rw"),
    ("RADV", "Receive interrupt absolute delay timer", RADV, "rw"),
    ("RSRPD", "Receive small packet detect", 0x2C00, "rw"),
    ("TDFH", "Transmit data FIFO head", TDFH, "rw"), ("TDFT", "Transmit data FIFO tail", TDFT, "rw"),
    ("TDFHS", "Transmit data FIFO head, saved", TDFHS, "rw"), ("TDFTS", "Transmit data FIFO tail, saved", TDFTS, "rw"),
    ("TDFPC", "Transmit data FIFO packet count", TDFPC, "rw"),
    ("TDBAL", "Transmit descriptor base, low", TDBAL, "rw"), ("TDBAH", "Transmit descriptor base, high", TDBAH, "rw"),
    ("TDLEN", "Transmit descriptor length", TDLEN, "rw"), ("TDH", "Transmit descriptor head", TDH, "rw"),
    ("TDT", "Transmit descriptor tail", TDT, "rw"), ("TIDV", "Transmit interrupt delay value", TIDV, "rw"),
    ("TXDCTL", "Transmit descriptor control", TXDCTL, "rw"),
    ("TADV", "Transmit absolute interrupt delay timer", TADV, "rw"),
    ("RXCSUM", "Receive checksum control", 0x5000, "rw"), ("WUC", "Wakeup control", WUC, "rw"),
    ("WUFC", "Wakeup filter control", WUFC, "rw"), ("WUS", "Wakeup status", WUS, "rw"),
    ("MANC", "Management control", MANC, "r"), ("IPAV", "IP address valid", IPAV, "rw"),
    ("WUPL", "Wakeup packet length", 0x5900, "r"), ("SWSM", "Software semaphore", SWSM, "rw"),
)  # fmt: skip

STATISTICS: Final = (
    "CRCERRS", "ALGNERRC", "SYMERRS", "RXERRC", "MPC", "SCC", "ECOL", "MCC", "LATECOL", "", "COLC", "", "DC", "TNCRS",
    "SEC", "CEXTERR", "RLEC", "", "XONRXC", "XONTXC", "XOFFRXC", "XOFFTXC", "FCRUC", "PRC64", "PRC127", "PRC255",
    "PRC511", "PRC1023", "PRC1522", "GPRC", "BPRC", "MPRC", "GPTC", "", "GORCL", "GORCH", "GOTCL", "GOTCH", "", "",
    "RNBC", "RUC", "RFC", "ROC", "RJC", "MGTPRC", "MGTPDC", "MGTPTC", "TORL", "TORH", "TOTL", "TOTH", "TPR", "TPT",
    "PTC64", "PTC127", "PTC255", "PTC511", "PTC1023", "PTC1522", "MPTC", "BPTC", "TSCTC", "TSCTFC",
)  # fmt: skip
"""Names of the statistics registers from 4000h on; some places are empty."""

STATISTIC_AT: Final = {name: 0x4000 + 4 * place for place, name in enumerate(STATISTICS) if name}

RECEIVED: Final = frozenset(
    STATISTIC_AT[name]
    for name in (
        "CRCERRS", "MPC", "RLEC", "PRC64", "PRC127", "PRC255", "PRC511", "PRC1023", "PRC1522", "GPRC", "BPRC", "MPRC",
        "GORCL", "GORCH", "RNBC", "RUC", "RFC", "ROC", "RJC", "TORL", "TORH", "TPR",
    )
)  # fmt: skip
"""Statistics that count what is received."""

SENT: Final = frozenset(
    STATISTIC_AT[name]
    for name in (
        "GPTC", "GOTCL", "GOTCH", "TOTL", "TOTH", "TPT", "PTC64", "PTC127", "PTC255", "PTC511", "PTC1023", "PTC1522",
        "MPTC", "BPTC", "TSCTC",
    )
)  # fmt: skip
"""Statistics that count what is sent."""

KEPT_COUNTERS: Final = frozenset(
    STATISTIC_AT[name]
    for name in (
        "CRCERRS", "ALGNERRC", "SYMERRS", "RXERRC", "MPC", "SCC", "ECOL", "MCC", "LATECOL", "COLC", "DC", "TNCRS",
        "SEC", "CEXTERR", "RLEC", "XONRXC", "XONTXC", "XOFFRXC", "XOFFTXC", "FCRUC", "RFC", "RJC", "RNBC", "TSCTFC",
        "MGTPRC", "MGTPDC", "MGTPTC", "GORCL", "GOTCL", "TORL", "TOTL",
    )
)  # fmt: skip
"""Statistics that reading does not clear, in QEMU."""

HIGH_HALVES: Final = frozenset((GORCH, GOTCH, TORH, TOTH))
"""Reading one clears the low half, too."""


def declare(rows: Iterable[Row], resets: dict[int, int], untold: frozenset[int] = frozenset()) -> list[Register]:
    """Registers of 32 bits with their reset values: 0 unless `resets` says otherwise, none for the `untold`."""
    return [
        Register(name, title, at, access, (), None, None if at in untold else resets.get(at, 0), 32)
        for name, title, at, access in rows
    ]


def common(resets: dict[int, int]) -> list[Register]:
    """The registers that both families have."""
    specials: tuple[tuple[Row, tuple[Field, ...]], ...] = (
        (("CTRL", "Device control", CTRL, "rw"), CTRL_FIELDS),
        (("STATUS", "Device status", STATUS, "r"), STATUS_FIELDS),
        (("EECD", "EEPROM control and data", EECD, "rw"), EECD_FIELDS),
        (("MDIC", "MDI control", MDIC, "rw"), MDIC_FIELDS),
        (("ICR", "Interrupt cause read", ICR, "rw"), CAUSES),
        (("ICS", "Interrupt cause set", ICS, "rw"), CAUSES),
        (("IMS", "Interrupt mask set", IMS, "rw"), CAUSES),
        (("IMC", "Interrupt mask clear", IMC, "w"), CAUSES),
    )
    registers = [
        Register(name, title, at, access, fields, None, None if at == EECD else resets.get(at, 0), 32)
        for (name, title, at, access), fields in specials
    ]
    statistics: list[Row] = [(name, "Statistics", at, "r") for name, at in STATISTIC_AT.items()]
    arrays: list[Row] = [(f"MTA[{n}]", "Multicast table", MTA + 4 * n, "rw") for n in range(128)]
    for n in range(16):
        arrays.append((f"RAL[{n}]", "Receive address, low", RAL0 + 8 * n, "rw"))
        arrays.append((f"RAH[{n}]", "Receive address, high", RAH0 + 8 * n, "rw"))
    arrays += [(f"VFTA[{n}]", "VLAN filter table", VFTA + 4 * n, "rw") for n in range(128)]
    arrays += [(f"IP4AT[{n}]", "IPv4 address", IP4AT + 8 * n, "rw") for n in range(4)]
    arrays += [(f"IP6AT[{n}]", "IPv6 address", IP6AT + 4 * n, "rw") for n in range(4)]
    arrays += [(f"WUPM[{n}]", "Wakeup packet memory", WUPM + 4 * n, "rw") for n in range(32)]
    arrays += [(f"FFLT[{n}]", "Flexible filter length", FFLT + 8 * n, "rw") for n in range(4)]
    arrays += [(f"FFMT[{n}]", "Flexible filter mask", FFMT + 8 * n, "rw") for n in range(128)]
    arrays += [(f"FFVT[{n}]", "Flexible filter values", FFVT + 8 * n, "rw") for n in range(128)]
    return [*registers, *declare((*COMMON_ROWS, *statistics, *arrays), resets)]
