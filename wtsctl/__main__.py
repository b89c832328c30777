"""The program's entry: answers `--version` by itself, hands everything else to the command line."""

import gc
import os
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
    # Most objects of a run live to its end. Looking for cycles among them every 700 objects, as by default, took 0.1 to
    # 0.3 s of the 1.6 s that a render of 500 models takes.
    gc.set_threshold(100_000, 50, 50)
    # pydantic looks for plugins in every installed package; nothing of somebody else's is to run here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from wtsctl.cli import run

    run()


if __name__ == "__main__":
    main()
