"""Text from a recording, made safe to print.

Names and disassembly come from the recorded guest's QEMU, or from whoever made the file. A terminal obeys control
characters, and characters that change the direction of writing make a line read as what it is not.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with every character that is not printable as an escape, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
