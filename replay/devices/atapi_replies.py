"""What an ATAPI CD/DVD drive replies to packet commands: pure functions of the packet and of the drive's state.

Source: ATAPI: SFF-8020i and MMC-5 (T10/1675D), by the names of their commands; INQUIRY and REQUEST SENSE: SPC-3.

A reply is written over the beginning of the drive's buffer, which held the packet. QEMU leaves some bytes as they were.
"""

from __future__ import annotations

from typing import Final

from .ata_identify import Identity, pad

NOT_READY, ILLEGAL_REQUEST, UNIT_ATTENTION = 2, 5, 6
ILLEGAL_OPCODE, OUT_OF_RANGE, INVALID_FIELD = 0x20, 0x21, 0x24
INCOMPATIBLE_FORMAT, SAVING_NOT_SUPPORTED, NO_MEDIUM = 0x30, 0x39, 0x3A
DATA_PHASE_ERROR, REMOVAL_PREVENTED = 0x4B, 0x53

CD_MAX_SECTORS: Final = 80 * 60 * 75 * 2048 // 512
"""Of 512 bytes; QEMU calls a larger medium a DVD."""
PROFILE_CD_ROM, PROFILE_DVD_ROM = 0x0008, 0x0010
FRAMES_PER_SECOND, LEAD_IN_FRAMES = 75, 150
DVD_STRUCTURE: Final = 2052
ERROR_PAGE, AUDIO_PAGE, CAPABILITIES_PAGE = 0x01, 0x0E, 0x2A


class RefusedError(Exception):
    """The command ends with CHECK CONDITION: a sense key and an additional sense code. It never leaves the drive."""

    def __init__(self, key: int, code: int) -> None:
        self.key = key
        self.code = code


def request_sense(key: int, code: int) -> bytes:
    """REQUEST SENSE: a valid current error."""
    return bytes((0xF0, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, 0, 0, 0, 0, 0))


def inquiry(packet: bytes, identity: Identity) -> bytes:
    """INQUIRY: standard data, or the vital product data pages 00h and 83h."""
    if not packet[1] & 1:
        names = pad("QEMU", 8) + pad("QEMU DVD-ROM", 16) + pad(identity.firmware, 4)
        return bytes((0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0)) + names
    page, room = packet[2], packet[4]
    if page == 0x00:
        body = bytes((0x00, 0x83))
    elif page == 0x83:
        if room < 28:
            raise RefusedError(ILLEGAL_REQUEST, DATA_PHASE_ERROR)
        body = bytes((0x02, 0x00, 0x00, 20)) + pad(identity.serial, 20)
        if room >= 100:
            names = pad("ATA", 8) + pad(identity.model or "QEMU DVD-ROM", 40) + pad(identity.serial, 20)
            body += bytes((0x02, 0x01, 0x00, 68)) + names
            if identity.wwn and room >= 112:
                body += bytes((0x01, 0x03, 0x00, 8)) + identity.wwn.to_bytes(8, "big")
    else:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    return bytes((0x05, page, 0x00, len(body))) + body


def mode_sense(packet: bytes, locked: bool) -> list[tuple[int, bytes]]:
    """MODE SENSE (10): the pages for errors, audio and capabilities, as (position, bytes)."""
    control, page = packet[2] >> 6, packet[2] & 0x3F
    if control == 3:
        raise RefusedError(ILLEGAL_REQUEST, SAVING_NOT_SUPPORTED)
    length = {ERROR_PAGE: 16, AUDIO_PAGE: 24, CAPABILITIES_PAGE: 30}.get(page)
    if control or length is None:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    head = (length - 2).to_bytes(2, "big") + bytes((0x70, 0, 0, 0, 0, 0, page, length - 10))
    if page == ERROR_PAGE:
        return [(0, head + bytes((0, 5, 0, 0, 0, 0)))]
    if page == AUDIO_PAGE:
        return [(0, head), *((at, b"\0") for at in (17, 19, 21, 23))]
    abilities = bytes((0x3B, 0x00, 0x71, 0x60, 0x2B if locked else 0x29, 0x00))
    speeds = (704).to_bytes(2, "big") + bytes((0, 2)) + (512).to_bytes(2, "big") + (704).to_bytes(2, "big")
    return [(0, head + abilities + speeds + bytes(6))]


def mechanism_status() -> bytes:
    """MECHANISM STATUS: one slot, nothing changes."""
    return bytes((0, 0, 0, 0, 0, 1, 0, 0))


def disc_information(packet: bytes) -> bytes:
    """READ DISC INFORMATION: one finished session with one track."""
    if packet[1] & 7:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    return bytes((0, 32, 0x0E, 1, 1, 1, 1, 0x20)) + bytes(26)


def configuration(packet: bytes, sectors: int) -> bytes:
    """GET CONFIGURATION: the list of profiles, of which the medium's is current."""
    if packet[2] or packet[3]:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    current = 0 if not sectors else PROFILE_CD_ROM if sectors <= CD_MAX_SECTORS else PROFILE_DVD_ROM
    reply = bytes((0, 0, 0, 16, 0, 0)) + current.to_bytes(2, "big") + bytes((0, 0, 0x03, 8))
    for profile in (PROFILE_DVD_ROM, PROFILE_CD_ROM):
        reply += profile.to_bytes(2, "big") + bytes((int(profile == current), 0))
    return reply


def event_status(packet: bytes, *, tray_open: bool, inserted: bool) -> bytes:
    """GET EVENT STATUS NOTIFICATION, polled: of the class "media" only."""
    if not packet[1] & 1:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    if not packet[4] & 0x10:
        return bytes((0, 0, 0x80, 0x10))
    return bytes((0, 4, 0x04, 0x10, 0, 1 if tray_open else 2 if inserted else 0, 0, 0))


def capacity(blocks: int) -> bytes:
    """READ CAPACITY: the last block, and the length of a block."""
    return (blocks - 1 & 0xFFFF_FFFF).to_bytes(4, "big") + (2048).to_bytes(4, "big")


def toc(packet: bytes, sectors: int) -> bytes:
    """READ TOC/PMA/ATIP: one data track, in the three formats that QEMU knows."""
    blocks = sectors // 4
    form, first = packet[9] >> 6, packet[6]
    is_msf = bool(packet[1] & 2)
    if form == 1:
        return bytes((0, 10, 1, 1)) + bytes(8)
    if form == 0 and (first <= 1 or first == 0xAA):
        track = bytes((0, 0x14, 1, 0)) + _address(0, is_msf) if first <= 1 else b""
        body = bytes((1, 1)) + track + bytes((0, 0x16, 0xAA, 0)) + _address(blocks, is_msf)
    elif form == 2:
        body = bytes((1, 1)) + b"".join(
            bytes((1, 0x14, 0, point, 0, 0, 0)) + last
            for point, last in (
                (0xA0, bytes((0, 1, 0, 0))),
                (0xA1, bytes((0, 1, 0, 0))),
                (0xA2, _address(blocks, is_msf)),
                (1, _address(0, is_msf)),
            )
        )
    else:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    return len(body).to_bytes(2, "big") + body


def _address(block: int, is_msf: bool) -> bytes:
    if not is_msf:
        return (block & 0xFFFF_FFFF).to_bytes(4, "big")
    return b"\0" + msf(block)


def msf(block: int) -> bytes:
    """A block's address as minutes, seconds and frames."""
    seconds, frames = divmod(block + LEAD_IN_FRAMES, FRAMES_PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    return bytes((minutes & 0xFF, seconds, frames))


def dvd_structure(packet: bytes, sectors: int) -> bytes:
    """READ DVD STRUCTURE: of a DVD the physical format, copyright and manufacturer; of any medium what there is.

    QEMU does not look at the layer number.
    """
    kind, wanted = packet[1], packet[7]
    if wanted < 0xFF and sectors <= CD_MAX_SECTORS:
        raise RefusedError(ILLEGAL_REQUEST, INCOMPATIBLE_FORMAT)
    if kind == 0 and wanted == 0x00:
        last = (sectors // 4 - 1).to_bytes(4, "big")
        head = bytes((0x08, 0x02, 0, 0, 1, 0x0F, 1, 0, 0, 0, 0, 0)) + last + last
    elif kind == 0 and wanted == 0x01:
        return bytes((0, 6, 0, 0, 0, 0, 0, 0))
    elif kind == 0 and wanted == 0x04:
        head = bytes((0x08, 0x02, 0, 0))
    elif kind == 0 and wanted == 0xFF:
        entries = ((0x00, DVD_STRUCTURE), (0x01, 8), (0x03, 192), (0x04, DVD_STRUCTURE))
        body = b"".join(bytes((number, 0x40)) + size.to_bytes(2, "big") for number, size in entries)
        return bytes((0, 18, 0, 0)) + body
    else:
        raise RefusedError(ILLEGAL_REQUEST, INVALID_FIELD)
    return head + bytes(DVD_STRUCTURE - len(head))
