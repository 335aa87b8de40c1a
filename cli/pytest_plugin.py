"""The pytest plugin: traces are collected as tests, one for each device; the fixture `vmdev` replays in own tests.

    pytest --vmdev traces/            # traces below the given paths, each *.db
    vmdev_traces = ["traces"]         # in the configuration: files, directories or patterns, without --vmdev

A trace is replayed once in a process, whatever the number of its items. With pytest-xdist and its usual distribution,
all items of a trace go to one process. Nothing here is imported but pytest until a trace is met: the plugin is loaded
wherever vmdev is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from vmdev.replay.device import Device
    from vmdev.replay.guest import Guest
    from vmdev.replay.machines import Board
    from vmdev.replay.verdict import Verdict

    from .judging import Judging, UserModel
    from .trace_tests import Replayed, Replays

SUFFIX: Final = ".db"
"""What the names of traces end with."""

REST: Final = "totals"
"""The item for what belongs to no device; `vmdev.replay.goldens.REST`."""

COUNTS: Final = ("exits", "matched", "masked", "learned", "assumed", "diverged", "roots", "consequences", "unmodelled")
"""Properties of a device's item in JUnit's XML."""

Names = Mapping[str, "str | type[Device]"] | Iterable[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and what the configuration may have."""
    group = parser.getgroup("vmdev", "vmdev: traces as tests")
    group.addoption("--vmdev", action="store_true", help="collect traces, *.db, among the given paths")
    group.addoption(
        "--vmdev-bless", metavar="REASON", help="keep the verdicts as goldens, for that reason; not where CI is set"
    )
    group.addoption("--vmdev-board", metavar="FILE", help="replay into the board of a Python file; see vmdev_board")
    parser.addini("vmdev_traces", "traces to collect: files, directories or patterns, from the root", "args", [])
    parser.addini("vmdev_board", "replay into the board that board(guest) of this Python file returns")
    parser.addini("vmdev_machine", "the machine to replay into; by default the one that was recorded")
    parser.addini("vmdev_devices", "models in place of vmdev's: NAME=package.module:Class[@PLACE]", "args", [])
    parser.addini("vmdev_strict", "reads that nothing answers count as divergences", "bool", False)


class State:
    """What the plugin knows in one run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.reason: str | None = config.getoption("--vmdev-bless")
        self.told: dict[str, dict[str, Any]] = {}
        """What reports of tests told, by the line that sums a trace up."""
        self.blessed: list[str] = []
        """What was, in lines."""

    @functools.cached_property
    def replays(self) -> Replays:
        """All replays of this process."""
        from .trace_tests import Replays

        return Replays()

    @functools.cached_property
    def judging(self) -> Judging:
        """How traces are judged."""
        from .judging import Judging

        config = self.config
        given, board = config.getoption("--vmdev-board"), config.getini("vmdev_board")
        return Judging(
            machine=config.getini("vmdev_machine") or None,
            board=Path(given) if given else config.rootpath / board if board else None,
            devices=as_devices(config.getini("vmdev_devices")),
            strict=config.getini("vmdev_strict"),
        )

    @functools.cached_property
    def configured(self) -> dict[str, list[Path]]:
        """What `vmdev_traces` stands for, by its entries."""
        root = self.config.rootpath
        found: dict[str, list[Path]] = {}
        for entry in self.config.getini("vmdev_traces"):
            path = root / entry
            is_there = path.exists() or Path(entry).is_absolute()
            matching = [path] if is_there else sorted(root.glob(entry))
            found[entry] = [each for each in matching if each.exists()]
        return found

    @functools.cached_property
    def configured_paths(self) -> list[Path]:
        """All of `configured`."""
        return [path for paths in self.configured.values() for path in paths]

    def collects(self, path: Path) -> bool:
        """Whether a file is a trace to collect."""
        if path.suffix != SUFFIX:
            return False
        return bool(self.config.getoption("--vmdev")) or any(path.is_relative_to(one) for one in self.configured_paths)

    # Hooks: the plugin is registered for each run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a test replayed."""
        for told in getattr(report, "vmdev", ()):
            row = self.told.setdefault(told["line"], told)
            row["parts"] = {**row["parts"], **told["parts"]}

    def pytest_sessionfinish(self) -> None:
        """Bless what is to be blessed, in the process that has all reports."""
        if self.reason is None or hasattr(self.config, "workerinput"):
            return
        from vmdev.replay.goldens import path_for

        from .trace_tests import bless

        for told in self.told.values():
            if told["parts"]:
                changes = bless(Path(told["path"]), told["parts"], self.reason)
                golden = path_for(Path(told["path"])).name
                if changes:
                    self.blessed += [f"{golden}: blessed", *(f"  {line}" for line in changes.lines)]
                else:
                    self.blessed.append(f"{golden}: is so already")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how much was checked of each trace, and what is odd about them."""
        if not self.told:
            return
        from vmdev.replay.goldens import orphans
        from vmdev.replay.printable import printable

        terminalreporter.section("vmdev: what was checked")
        for told in self.told.values():
            terminalreporter.line(told["line"])
        for told in self.told.values():
            for note in told["notes"]:
                terminalreporter.line(printable(note), red=True, bold=True)
        for line in self.blessed:
            terminalreporter.line(printable(line))
        for directory in sorted({Path(told["path"]).parent for told in self.told.values()}):
            for path in orphans(directory):
                terminalreporter.line(printable(f"{path}: a golden that has no trace any more"), yellow=True)


STATE: Final = pytest.StashKey[State]()
TOLD: Final = pytest.StashKey[list[dict[str, Any]]]()
"""Of an item: what its report tells of traces."""


def as_devices(devices: Names) -> tuple[str | UserModel, ...]:
    """Names of devices to judge, or NAME=MODEL, or models by name.

    Raises:
        UserModelError: one of them is written wrongly.
    """
    import click

    from vmdev.replay.errors import UserModelError

    from .judging import DeviceType, UserModel

    if isinstance(devices, Mapping):
        return tuple(UserModel(name, model, None) for name, model in devices.items())
    try:
        return tuple(DeviceType().convert(device, None, None) for device in devices)
    except click.UsageError as error:
        raise UserModelError(error.message) from None


# The run


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin a run."""
    config.addinivalue_line("markers", "vmdev: a trace, replayed by vmdev's plugin")
    state = config.stash[STATE] = State(config)
    config.pluginmanager.register(state, "vmdev-run")
    if state.reason is not None:
        from vmdev.replay.errors import GoldenError

        from .trace_tests import require_a_person

        try:
            require_a_person(state.reason)
        except GoldenError as error:
            raise pytest.UsageError(f"--vmdev-bless: {error}") from None
    if config.args_source is not pytest.Config.ArgsSource.ARGS and config.getini("vmdev_traces"):
        config.option.vmdev_all = True  # options reach the processes of pytest-xdist, too
        given = [config.invocation_params.dir / argument for argument in config.args]
        config.args += [
            str(path) for path in state.configured_paths if not any(path.is_relative_to(one) for one in given)
        ]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take traces."""
    if parent.config.stash[STATE].collects(file_path):
        return TraceFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add an error for each configured trace that is not there, if all were asked for."""
    if getattr(config.option, "vmdev_all", False):
        for entry, paths in config.stash[STATE].configured.items():
            if not paths:
                trouble = f"vmdev_traces: {entry}: there is no such file"
                items.append(TroubleItem.from_parent(session, name=entry, trouble=trouble))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the items of a trace together, so that one process replays it; all else is distributed as ever."""
    if config.getvalue("dist") != "load" or not (config.getoption("--vmdev") or config.getini("vmdev_traces")):
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByTrace(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return path if path.endswith(SUFFIX) else nodeid

    return ByTrace(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let the last report of a test say what was replayed for it: it may have to travel from another process."""
    report = yield
    if report.when == "teardown":
        report.vmdev = item.stash.get(TOLD, [])
    return report


# Items


class TraceFile(pytest.File):
    """A trace."""

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each device that the trace may reach, and one for the rest."""
        from vmdev.replay.errors import VmdevError
        from vmdev.replay.printable import printable

        from .trace_tests import devices_of

        state = self.config.stash[STATE]
        try:
            names = devices_of(self.path, state.judging)
        except (VmdevError, OSError) as error:
            yield TroubleItem.from_parent(self, name=REST, trouble=printable(str(error)))
            return
        for name in names:
            yield DeviceItem.from_parent(self, name=name, names=names)
        yield DeviceItem.from_parent(self, name=REST, names=names)


class TraceItem(pytest.Item):
    """Something to check of a trace."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.add_marker(pytest.mark.vmdev)
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group(str(self.path)))

    def reportinfo(self) -> tuple[Path, None, str]:
        """What tells where it is."""
        return self.path, None, self.nodeid.replace("::", " ")


class TroubleItem(TraceItem):
    """A trace that cannot be replayed: an error."""

    def __init__(self, *, trouble: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._trouble = trouble

    def setup(self) -> None:
        """Fail before the test, which is an error."""
        pytest.fail(self._trouble, pytrace=False)

    def runtest(self) -> None:
        """Never reached."""


class DeviceItem(TraceItem):
    """A device of a trace, or what belongs to no item of its own."""

    _replayed: Replayed

    def __init__(self, *, names: list[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._names = names

    def setup(self) -> None:
        """Replay the trace, unless another item has."""
        from vmdev.replay.errors import VmdevError
        from vmdev.replay.printable import printable

        state = self.config.stash[STATE]
        try:
            self._replayed = state.replays.replay(self.path, state.judging)
        except (VmdevError, OSError) as error:
            pytest.fail(printable(str(error)), pytrace=False)

    def runtest(self) -> None:
        """Compare with the golden, or else with the recording."""
        from .trace_tests import failure, require_whole

        replayed, names = self._replayed, self._parts()
        blesses = self.config.stash[STATE].reason is not None
        parts = {name: replayed.parts.get(name) for name in names}
        self.stash[TOLD] = [_told(self.config, self.path, replayed, parts if blesses else {})]
        for device in replayed.verdict.devices:
            if device.name == self.name:
                self.user_properties += [(count, getattr(device.tally, count)) for count in COUNTS]
        if blesses:
            from vmdev.replay.errors import TraceError

            try:
                require_whole(self.path, replayed)
            except TraceError as error:
                self.stash[TOLD] = []
                pytest.fail(str(error), pytrace=False)
        golden = replayed.golden.parts if replayed.golden else {}
        if self.name != REST and not {*replayed.parts, *golden} & {*names}:
            pytest.skip("the guest does not reach this device")
        wrong = "" if blesses else failure(replayed, names)
        if wrong:
            pytest.fail("\n".join([wrong, *replayed.notes]), pytrace=False)

    def _parts(self) -> list[str]:
        """What it checks: a device, or all that is no other item's."""
        if self.name != REST:
            return [self.name]
        golden = self._replayed.golden.parts if self._replayed.golden else {}
        return [*sorted({*self._replayed.parts, *golden} - {REST, *self._names}), REST]


def _told(config: pytest.Config, trace: Path, replayed: Replayed, parts: Mapping[str, Any]) -> dict[str, Any]:
    """What a report has to say of a trace, as data that can be sent."""
    from .trace_tests import told

    path = trace.resolve()
    name = str(path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else path)
    return {
        "trace": name,
        "path": str(path),
        "line": told(name, replayed),
        "notes": list(replayed.notes),
        "parts": dict(parts),
    }


# The fixture


class Vmdev:
    """Replays traces for a test."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def replay(
        self,
        trace: str | Path,
        *,
        devices: Names = (),
        board: str | Path | Callable[[Guest], Board] | None = None,
        machine: str | None = None,
        contracts: Iterable[str | Path] = (),
        known: Iterable[str | Path] = (),
        strict: bool = False,
        until_divergence: bool = False,
    ) -> Verdict:
        """The verdict on a trace; asked for once more in the same way, it is the same one.

        Args:
            trace: the file; a relative path begins at pytest's root directory, as all paths here.
            devices: the devices to judge, or as on the command line NAME=package.module:Class; or a mapping of names to
                models that replace what the board has. None of them to be judged alone: all are.
            board: a Python file with a function board(guest), or such a function.
            machine: the machine to replay into; by default the one that was recorded.
            contracts: files of contracts; by default the one beside the trace.
            known: files of known divergences; by default the one beside the trace.
            strict: whether reads that nothing answers count as divergences.
            until_divergence: end at the first root.

        Raises:
            VmdevError: the trace, a model or a file cannot be used.
            OSError: a file cannot be read.
        """
        from .judging import Judging

        judging = Judging(
            machine=machine,
            board=self._path(board) if isinstance(board, (str, Path)) else board,
            devices=as_devices(devices),
            until_divergence=until_divergence,
            contracts=tuple(map(self._path, contracts)),
            known=tuple(map(self._path, known)),
            strict=strict,
        )
        path = self._path(trace)
        config = self._node.config
        replayed = config.stash[STATE].replays.replay(path, judging)
        self._node.stash.setdefault(TOLD, []).append(_told(config, path, replayed, {}))
        return replayed.verdict

    def _path(self, path: str | Path) -> Path:
        return self._node.config.rootpath / path


@pytest.fixture
def vmdev(request: pytest.FixtureRequest) -> Vmdev:
    """Replays traces: ``vmdev.replay("traces/boot.db", devices=["rtc"]).agrees``."""
    return Vmdev(request.node)
