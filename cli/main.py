"""``vmdev``: the group of all commands, and how every one of them ends.

Exit status: what the command says (0 or 1, as diff(1)), 2 in any trouble, 130 after Ctrl-C, 141 if nobody reads the
output any more. Trouble is one line on stderr; only a bug in vmdev shows a traceback.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
import traceback
from typing import Any, Final, NoReturn

import click

from vmdev.replay.errors import VmdevError
from vmdev.replay.printable import printable
from vmdev.replay.version import vmdev_version

COMMANDS: Final = {
    "record": "Run a guest in QEMU and record every port and MMIO access.",
    "import": "Make a trace from a log that another program has written.",
    "export": "Write a trace, or a part of it, in a format of other programs.",
    "replay": "Replay traces into device models and compare every answer.",
    "compare": "Compare two recordings by device, register and bit.",
    "bless": "Keep the verdicts on traces as goldens.",
    "minimize": "Write the smallest trace that still shows a divergence.",
    "reproduce": "Print a pytest that fails on a broken model.",
    "mutate": "Tell how good traces are as tests of a device model.",
    "scaffold": "Write the source of a new model of a device in a trace.",
    "info": "Show what is in a trace, and whether it is complete.",
    "show": "Show the exits of a trace, decoded and disassembled.",
    "devices": "List the device models, or the registers of one.",
    "machines": "List the machines that a trace can be replayed into.",
}
"""What each does. It is a function of its own name in a module of its own name, imported when it is needed; where
Python has the name for itself, both end in an underscore."""

TROUBLE: Final = 2
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141


class Trouble(click.ClickException):
    """An error that is reported as one line on stderr."""

    exit_code = TROUBLE

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Commands(click.Group):
    """The group of commands: loads them lazily, and turns every way to fail into an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(f"{__package__}.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the module's docstring for what follows."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:  # it is if the shell closed it
                sys.stdout.flush()
        except click.exceptions.Exit:
            raise
        except (KeyboardInterrupt, click.Abort):
            _end_quietly(INTERRUPTED)
        except BrokenPipeError:
            _end_quietly(NOBODY_READS)
        except click.ClickException as error:
            if error.exit_code == TROUBLE:
                raise
            raise Trouble(error.format_message()) from error
        except VmdevError as error:
            raise Trouble(str(error)) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _forget_output()
            raise Trouble(f"{place}{error.strerror or error}") from error
        except Exception:
            traceback.print_exc()
            raise Trouble("this is a bug in vmdev; please report it with the lines above") from None
        return result


def _end_quietly(status: int) -> NoReturn:
    _forget_output()
    raise click.exceptions.Exit(status)


def _forget_output() -> None:
    """Keep Python from failing once more when it flushes, at its end, what could not be written."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or not a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"vmdev {vmdev_version()}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Regression tests for device models.

    Record what a guest does to the devices of a machine, replay it into models of them, and see where a model answers
    otherwise than the device did.

    Example:

    \b
        vmdev record -o boot.db
        vmdev info boot.db
        vmdev replay boot.db
    """
