"""The command `needletail-import-mlflow`: also what `needletail import mlflow` starts."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from needletail.errors import CallError, Code, NeedletailError, SettingsError

from needletail_mlflow.importing import digests
from needletail_mlflow.importing.digests import Sums
from needletail_mlflow.importing.importer import Importer
from needletail_mlflow.importing.progress import Progress
from needletail_mlflow.importing.source import (
    Source,
    SourceAwayError,
    SourceError,
    without_password,
)
from needletail_mlflow.importing.target import Target
from needletail_mlflow.importing.troubles import StoppedError, Troubles
from needletail_mlflow.importing.work import KINDS, Options, Work
from needletail_mlflow.uri import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail_mlflow.importing.troubles import Trouble

DONE, FAILED, WRONG_COMMAND, DENIED, NOT_FOUND, UNAVAILABLE = 0, 1, 2, 3, 4, 6
STOPPED = 128 + signal.SIGINT
_CODES = {
    Code.PERMISSION_DENIED: DENIED,
    Code.UNAUTHENTICATED: DENIED,
    Code.NOT_FOUND: NOT_FOUND,
    Code.UNAVAILABLE: UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: UNAVAILABLE,
}
_SHOWN_PLACES = 20
_SHOWN_LINES = 200
_THREADS_MAX = 64
_AGAIN = "run the same command again to go on where it was"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs an import and returns the exit code."""
    given = _parser().parse_args(arguments)
    # Nothing of an import is any of MLflow's business, nor its advice any of the reader's.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    troubles = Troubles()
    former = {
        number: signal.signal(number, lambda *_: _interrupt(troubles))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return _run(given, troubles)
    except StoppedError:
        _complain(f"stopped: {_AGAIN}")
        return STOPPED
    except SourceAwayError as error:
        _complain(f"{error}; nothing that was imported is lost: {_AGAIN}")
        return UNAVAILABLE
    except SourceError as error:
        _complain(str(error))
        return WRONG_COMMAND
    except OSError as error:
        _complain(f"{type(error).__name__}: {error}; nothing that was imported is lost: {_AGAIN}")
        return UNAVAILABLE
    except (NeedletailError, MlflowException) as error:
        return _tell(error)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=os.environ.get("NEEDLETAIL_IMPORT_NAME", "needletail-import-mlflow"),
        description="Copies what an MLflow server or store has into a project of Needletail, and"
        " compares: experiments, runs with all that they logged, artifacts, registered models,"
        " traces, issues, evaluation datasets and scorers. It may be stopped at any time: run it"
        " again, and only what is missing is copied.",
        epilog="Exit codes: 0 all is equal, 1 something differs or could not be copied, 2 wrong"
        " command line or setting, 3 not permitted, 4 not found, 6 the source or the server is"
        " unavailable, 130 stopped.",
    )
    add = parser.add_argument
    add("--from", dest="source", required=True, metavar="URI",
        help="http(s)://host:port, sqlite:///file, postgresql://…, mysql://…, or a folder; what"
        " MLFLOW_TRACKING_USERNAME, _PASSWORD and _TOKEN say is used")  # fmt: skip
    add("--from-registry", metavar="URI", help="where models are, if not with the runs")
    add("--to", default="", metavar="PROJECT",
        help="slug or id; else the profile's project, or the only one")  # fmt: skip
    add("--experiment", action="append", default=[], metavar="NAME",
        help="name or id of an experiment to copy, any number of times; else all")  # fmt: skip
    add("--deleted", action="store_true", help="also what is deleted in the source")
    add("--without", action="append", default=[], choices=KINDS,
        help="leave these out; issues go with traces, scorers with evaluations")  # fmt: skip
    add("--source-name", default="", metavar="NAME",
        help="what the source is called in tags; else its address: give the same name where the"
        " address of a source has changed")  # fmt: skip
    add("--threads", type=int, default=8, metavar="N", help="runs at a time, 1 to 64; 8")
    add("--dry-run", action="store_true", help="only say what there is to copy")
    add("--report", type=Path, metavar="FILE", help="write all that is told to a JSON file, too")
    add("--json", action="store_true", help="write what is told as JSON")
    add("--quiet", action="store_true", help="show no progress")
    return parser


def _run(given: argparse.Namespace, troubles: Troubles) -> int:
    if not 1 <= given.threads <= _THREADS_MAX:
        _complain(f"--threads is 1 to {_THREADS_MAX}")
        return WRONG_COMMAND
    with (
        Progress(quiet=given.quiet) as progress,
        tempfile.TemporaryDirectory(prefix="needletail-import-") as folder,
    ):
        progress.stage("connecting")
        source = Source(given.source, registry_uri=given.from_registry, name=given.source_name)
        work = Work(
            source=source,
            target=Target(_place(given.to), source, troubles),
            options=Options(
                experiments=tuple(given.experiment),
                deleted=given.deleted,
                without=frozenset(given.without),
                threads=given.threads,
            ),
            troubles=troubles,
            sums=Sums(),
            progress=progress,
            folder=Path(folder),
        )
        importer = Importer(work)
        found = importer.look()
        if given.dry_run:
            importer.count(found)
        else:
            importer.copy(found)
    if given.dry_run:
        text = json.dumps(found.counts)
        if given.report is not None:
            given.report.write_text(text + "\n")
        lines = (f"{count:>12,} {noun}" for noun, count in found.counts.items())
        print(text if given.json else "\n".join(lines))  # noqa: T201 the answer
        return DONE
    return _report(work, given.report, as_json=given.json)


def _place(project: str) -> Place:
    """The project, by the SDK's settings."""
    return Place(None, project)


def _report(work: Work, file: Path | None, *, as_json: bool) -> int:
    troubles = work.troubles
    rows = work.sums.rows()
    content = {
        "source": work.source.name,
        "counts": rows,
        "notes": [_as_json(one) for one in troubles.notes],
        "failures": [_as_json(one) for one in troubles.failures],
    }
    text = json.dumps(content, indent=2)
    if file is not None:
        file.write_text(text + "\n")
    if as_json:
        print(text)  # noqa: T201 the answer
        return FAILED if troubles.failures else DONE
    print(digests.table(rows))  # noqa: T201 the answer
    _list("Good to know", troubles.notes)
    _list("Not as in the source", troubles.failures)
    if troubles.failures:
        return FAILED
    print("\nEverything is as in the source.")  # noqa: T201 the answer
    return DONE


def _list(title: str, troubles: Sequence[Trouble]) -> None:
    """What is wrong, each once with where that is so."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in troubles:
        grouped.setdefault((one.what, one.why), []).append(one.place)
    if grouped:
        print(f"\n{title}:")  # noqa: T201
    left = len(grouped) - _SHOWN_LINES
    for (what, why), places in list(grouped.items())[:_SHOWN_LINES]:
        shown = ", ".join(places[:_SHOWN_PLACES])
        more = f" and {len(places) - _SHOWN_PLACES:,} more" if len(places) > _SHOWN_PLACES else ""
        print(_visible(f"- {shown}{more}: {f'{what}: ' if what else ''}{why}"))  # noqa: T201
    if left > 0:
        print(f"- and {left:,} more: --report FILE has all of them")  # noqa: T201


def _visible(text: str) -> str:
    """Text without what would steer a terminal, or can't be written."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def _as_json(one: Trouble) -> dict[str, str]:
    return {"place": one.place, "what": one.what, "why": one.why}


def _interrupt(troubles: Troubles) -> None:
    if troubles.is_stopped:
        # Asked for twice: whatever a call is waiting for.
        os._exit(STOPPED)
    _complain("ending; once more to end at once")
    troubles.stop()


def _tell(error: Exception) -> int:
    _complain(" ".join(str(error).split()))
    if isinstance(error, SettingsError):
        return WRONG_COMMAND
    cause: Any = error if isinstance(error, CallError) else error.__cause__
    if isinstance(cause, SettingsError):
        return WRONG_COMMAND
    if isinstance(cause, CallError):
        code = _CODES.get(cause.code, FAILED)
        if code == UNAVAILABLE:
            _complain(f"nothing that was imported is lost: {_AGAIN}")
        return code
    if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
        return NOT_FOUND
    if isinstance(error, MlflowException):
        # It is the source's own.
        _complain(f"nothing that was imported is lost: {_AGAIN}")
        return UNAVAILABLE
    return FAILED


def _complain(text: str) -> None:
    print(_visible(without_password(text)), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
