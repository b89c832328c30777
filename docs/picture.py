"""Draw docs/images/demo.svg: what a terminal shows of a real run against the running sandbox.

    eval "$(wtsctl sandbox env)"
    python docs/picture.py

The commands are run, not imagined: standard output goes to a pseudo-terminal of 150 columns, so that it is coloured
and laid out as for a person, and what they print is drawn as it came.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 150
COMMANDS = ["wtsctl deploy --profile sandbox", "wtsctl status --profile sandbox", "wtsctl smoke-test --profile sandbox"]
TARGET = Path(__file__).parent / "images" / "demo.svg"
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 216, 220),
    [
        *((60, 64, 72), (224, 108, 117), (126, 189, 107), (222, 184, 104)),
        *((97, 160, 226), (190, 125, 214), (86, 182, 194), (200, 203, 208)),
    ],
)


def run(command: str) -> str:
    """What `command` prints: its messages, then its result as a terminal of COLUMNS columns gets it."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(
        command.split(), stdout=follower, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        os.close(follower)
        messages = process.stderr.read() if process.stderr else ""
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:
            pass  # Linux reports the end of a pseudo-terminal as EIO
    os.close(leader)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}:\n{messages}")
    return messages + shown.decode().replace("\r\n", "\n")


def main() -> None:
    """Run the commands and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in COMMANDS:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(run(command).rstrip("\n")), soft_wrap=True)
        console.print()
    TARGET.parent.mkdir(exist_ok=True)
    # Without the fonts that rich would have a browser fetch from elsewhere.
    drawing = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    drawing = drawing.replace("Fira Code, monospace", "monospace")
    title = "wtsctl on a machine with two cores and no GPU"
    TARGET.write_text(console.export_svg(title=title, theme=THEME, code_format=drawing))


if __name__ == "__main__":
    main()
