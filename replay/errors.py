"""The error tree: everything vmdev raises on purpose.

A guest's behaviour never raises. These errors report bad input (a file, a command line, a board), a mistake in a
model's declarations, or a recording that could not be made. Each message says what, where, and the value found.
The bus errors, which carry ranges, are in `vmdev.replay.bus.errors`; they derive from `BusError` here.
"""


class VmdevError(Exception):
    """Root of all errors that vmdev raises on purpose. The command line prints it and exits with status 2."""


class TraceError(VmdevError):
    """A trace file cannot be used."""


class TraceNotFoundError(TraceError):
    """There is no such file."""


class NotATraceError(TraceError):
    """The file is not a vmdev trace: not SQLite, or SQLite of another program."""


class TraceVersionError(TraceError):
    """The trace has a format that this vmdev does not read."""


class TraceCorruptError(TraceError):
    """The file is a trace, but its content is damaged or contradicts itself."""


class BusError(VmdevError):
    """An access or a registration that a bus refuses."""


class RegisterMapError(VmdevError):
    """A device declares its registers wrongly. Raised when the device's module is imported."""


class DeviceConfigError(VmdevError):
    """A device or a board was built with impossible parameters."""


class ContractError(VmdevError):
    """A contract or a known divergence is written wrongly, or names what does not exist."""


class GoldenError(VmdevError):
    """A golden cannot be read, or may not be made."""


class UserModelError(VmdevError):
    """A user's model or board cannot be used: it cannot be imported, is of the wrong kind, or cannot be built."""


class UnknownMachineError(VmdevError):
    """No machine or device of that name can be replayed into."""


class NothingComparedError(VmdevError):
    """A replay compared no read at all: its verdict would mean nothing."""


class TimerLoopError(VmdevError):
    """A model's timer re-arms itself without end at one point of time."""


class ModelHungError(VmdevError):
    """A model did not come back from an access, a timer or a reset in time. Raised into it, from outside."""

    def __init__(self, message: str = "the model did not come back in time, and was ended") -> None:
        super().__init__(message)


class MinimizingError(VmdevError):
    """A divergence cannot be shown by less, or by a test."""


class MutatingError(VmdevError):
    """Traces cannot be tried as tests of a model."""


class ScaffoldError(VmdevError):
    """A model cannot be written from a trace."""


class DescriptionError(VmdevError):
    """A description of registers cannot be used."""


class RecordError(VmdevError):
    """A recording could not be made."""


class QemuNotFoundError(RecordError):
    """The QEMU to record with does not exist or cannot be run."""


class QemuUnsuitableError(RecordError):
    """The QEMU is too old or was built without what recording needs."""


class PluginNotBuiltError(RecordError):
    """The recorder plugin is missing from the installation."""


class QemuFailedError(RecordError):
    """QEMU ended with an error of its own."""


class OracleError(VmdevError):
    """A recording cannot be played against another implementation of its devices."""


class OutputExistsError(RecordError):
    """The output file exists and may not be overwritten."""


class ImportFailedError(VmdevError):
    """A log could not be imported."""
