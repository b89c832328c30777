"""The program's entry: answers `--version` by itself, hands everything else to the command line."""

import sys

from wtsctl import streams


def main() -> None:
    """Run wtsctl and end the process with its exit code."""
    streams.repair()
    try:
        _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of stdout went away, as in `wtsctl --help | head -1`.
        streams.discard(sys.stdout)
        raise SystemExit(streams.READER_GONE) from None
    except OSError as error:
        # Of help and version; a command reports its own in `report.result.finish`.
        streams.discard(sys.stdout)
        sys.stderr.write(f"error: cannot write to standard output: {error.strerror}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run() -> None:
    # Scripts ask for the version often; importing the command line for it would triple the time.
    if sys.argv[1:] == ["--version"]:
        from wtsctl import __version__

        sys.stdout.write(f"wtsctl {__version__}\n")
        return
    from wtsctl.cli import run

    run()


if __name__ == "__main__":
    main()
