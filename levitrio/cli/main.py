"""The entry point `levi`; parses `levi ctl status` itself, because cron runs it each minute.

Importing Typer takes longer than the whole answer. So the plain forms of this one command are
parsed here; everything else (help, an unknown option, any other command) goes to Typer, which has
the same options.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUES = {"--socket": "socket_path", "--fleet": "fleet"}
_FLAGS = {"--json": "as_json", "--watch": "watch"}


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run a command line, by default the process's own; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        plain = parse_status(words)
        if plain is not None:
            from levitrio.cli.status import run_status

            symbols, options = plain
            code = run_status(symbols, **options)  # type: ignore[arg-type]  # see _VALUES, _FLAGS
        else:
            from levitrio.cli.application import run_command_line

            code = run_command_line(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        from levitrio.cli.terminal import OutputFailed

        if not isinstance(error, BrokenPipeError | OutputFailed):
            raise
        return _end_without_output(error)
    return code


def _end_without_output(error: OSError) -> int:
    """End without standard output; the interpreter must not try to flush it at its exit."""
    # The interpreter flushes descriptor 1 at its exit; what is left goes nowhere.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.close(silence)
    if isinstance(error, BrokenPipeError):
        return 141  # `levi ... | head -1`: the reader has closed its end
    if sys.stderr is not None:
        sys.stderr.write(f"Error: cannot write to standard output: {error.strerror}\n")
    return 1


def parse_status(words: "Sequence[str]") -> "tuple[list[str], dict[str, str | bool]] | None":
    """Symbols and options of a plain `ctl status`; None for anything Typer must parse."""
    if not words or words[0] != "ctl":
        return None
    symbols: list[str] = []
    options: dict[str, str | bool] = {}
    is_status = False
    rest = iter(words[1:])
    for word in rest:
        name, sign, value = word.partition("=")
        if name in _VALUES:
            value = value if sign else next(rest, "")
            if not value or value.startswith("-"):
                return None
            options[_VALUES[name]] = value
        elif word.startswith("-") or not word:
            if word not in _FLAGS or not is_status:
                return None
            options[_FLAGS[word]] = True
        elif is_status:
            symbols.append(word)
        elif word == "status":
            is_status = True
        else:
            return None
    return (symbols, options) if is_status else None


if __name__ == "__main__":
    sys.exit(main())
