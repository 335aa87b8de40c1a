-- The vmdev trace, format 2. This text is both what Python executes and what is embedded into the recorder.
-- Order is exit.seq and nothing else. All integers of 64 bits are unsigned values stored in SQLite's signed ones:
-- mask with 0xffffffffffffffff when reading. Times are ns of the guest's virtual clock (see meta 'clock').

PRAGMA application_id = 0x766d6476;  -- 'vmdv'
PRAGMA user_version = 2;             -- the format's version

-- What was recorded, and how: one fact a row. traces/README.md lists the keys.
-- 'closed' = 1 is written last: without it the recording was cut off.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- The flat view of the guest's address spaces at one moment ("snapshot", numbered from 0).
CREATE TABLE region (
    snapshot INTEGER NOT NULL,
    seq      INTEGER NOT NULL,  -- number of exits recorded before the snapshot was taken
    space    TEXT    NOT NULL CHECK (space IN ('pio', 'mmio')),
    first    INTEGER NOT NULL,  -- address of the first byte
    last     INTEGER NOT NULL,  -- address of the last byte, inclusive
    name     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,  -- 'i/o', 'ram', 'rom', 'romd'
    offset   INTEGER NOT NULL,  -- of the first byte within the region that is shown here
    priority INTEGER NOT NULL
) STRICT;

-- The PCI functions that QEMU reported, with their BARs at the end of the recording as JSON.
CREATE TABLE pci_function (
    bus       INTEGER NOT NULL,
    slot      INTEGER NOT NULL,
    function  INTEGER NOT NULL,
    vendor_id INTEGER NOT NULL,
    device_id INTEGER NOT NULL,
    class     INTEGER NOT NULL,  -- base class << 8 | subclass
    qdev_id   TEXT    NOT NULL,
    bars      TEXT    NOT NULL,
    PRIMARY KEY (bus, slot, function)
) STRICT, WITHOUT ROWID;

-- Where an access comes from: one site for each combination of instruction, address and size that occurred. Stored
-- in numbers (a boot that clears a screen has ten thousands of sites); read it through the view `site`.
CREATE TABLE insn (
    id    INTEGER PRIMARY KEY,
    pc    INTEGER NOT NULL,  -- virtual (linear) address of the instruction
    bytes BLOB    NOT NULL,  -- the instruction
    text  TEXT    NOT NULL   -- QEMU's disassembly, of port I/O instructions; '' for others
) STRICT;

CREATE TABLE region_name (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- kind: the size in bytes (1, 2, 4, 8), + 16 if mmio and not pio, + 32 if a write (the guest's view: OUT, store) and not
-- a read (IN, load), + 64 if an element of INS or OUTS (with or without REP)
CREATE TABLE site_packed (
    id      INTEGER PRIMARY KEY,  -- from 0, gapless, in order of first occurrence
    insn    INTEGER NOT NULL,     -- insn.id
    region  INTEGER,              -- region_name.id, NULL if nothing was mapped there or it is not known (yet)
    vcpu    INTEGER NOT NULL,
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 127 AND (kind & 15) IN (1, 2, 4, 8)),
    address INTEGER NOT NULL      -- port, or guest physical address
) STRICT;

CREATE VIEW site AS
SELECT s.id, s.vcpu, insn.pc, CASE s.kind & 16 WHEN 0 THEN 'pio' ELSE 'mmio' END AS space,
       CASE s.kind & 32 WHEN 0 THEN 'r' ELSE 'w' END AS direction, s.address, s.kind & 15 AS size,
       s.kind >> 6 AS string, insn.bytes AS insn, insn.text, coalesce(region_name.name, '') AS region
FROM site_packed AS s JOIN insn ON insn.id = s.insn LEFT JOIN region_name ON region_name.id = s.region;

-- Each access: the shortest rows that tell it.
CREATE TABLE exit (
    seq   INTEGER PRIMARY KEY,  -- from 0 (or from meta 'first_exit'), gapless
    dt_ns INTEGER NOT NULL,     -- the clock when the access was made, less epoch.t_ns; may be negative
    site  INTEGER NOT NULL,     -- site.id
    value INTEGER NOT NULL      -- what was read or written, masked to the access's size
) STRICT;

-- Most accesses follow the one before within microseconds: times are told from bases that many exits share. Exits
-- first to last were made at t_ns + dt_ns. Epochs are gapless, and cover all exits that are committed.
CREATE TABLE epoch (
    first INTEGER PRIMARY KEY,  -- exit.seq
    last  INTEGER NOT NULL,     -- exit.seq, inclusive
    t_ns  INTEGER NOT NULL
) STRICT;

-- What is no access, before the exit numbered seq.
--   reset             the vCPU started at its reset vector (the first one is power-on)
--   unread-in         an IN whose value a reset or the guest's end left unknown; detail: pc, port, size
--   refused-io        an IN or OUT that the I/O permission bitmap refused, or that an interrupt followed; detail as above
--   marker            a place that somebody marked; detail: the text
--   serial-input      bytes that the recorder fed to a serial port; detail: the port and the byte
--   snapshot-missing  the address spaces changed, but could not be looked at; detail: why
--   other kinds       see traces/README.md
CREATE TABLE event (
    seq    INTEGER NOT NULL,
    t_ns   INTEGER NOT NULL,
    vcpu   INTEGER,
    kind   TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;

-- Interrupts and exceptions from outside that a vCPU took, before the exit numbered seq. Empty if QEMU does not tell.
CREATE TABLE interrupt (
    seq     INTEGER NOT NULL,
    t_ns    INTEGER NOT NULL,
    vcpu    INTEGER NOT NULL,
    from_pc INTEGER NOT NULL,  -- virtual address of the instruction that would have been next
    to_pc   INTEGER NOT NULL   -- virtual address of the handler
) STRICT;

-- What a person wants to read: SELECT * FROM access WHERE region = 'rtc';
CREATE VIEW access AS
SELECT exit.seq, epoch.t_ns + exit.dt_ns AS t_ns, site.vcpu, printf('%#x', site.pc) AS pc, site.space, site.direction,
       printf('%#x', site.address) AS address, site.size, printf('%#x', exit.value) AS value,
       site.text, site.region, exit.site
FROM exit JOIN epoch ON epoch.first = (SELECT max(first) FROM epoch WHERE first <= exit.seq)
          JOIN site ON site.id = exit.site;
