"""The program's entry: answers `--version` by itself, hands everything else to the command line."""

import sys


def main() -> None:
    """Run wtsctl and end the process with its exit code."""
    # Scripts ask for the version often; importing the command line for it would triple the time.
    if sys.argv[1:] == ["--version"]:
        from wtsctl import __version__

        sys.stdout.write(f"wtsctl {__version__}\n")
        return
    from wtsctl.cli import run

    run()


if __name__ == "__main__":
    main()
