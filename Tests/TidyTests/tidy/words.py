"""Words that must not stand in some folders, each with what to write instead."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tidy.repository import File
from tidy.swift_source import blanked

MECHANISMS = ("Wire", "TLS", "EventLoop", "Postgres", "RPC")


@dataclass(frozen=True, slots=True)
class BannedWord:
    """A pattern, where it is banned, and the way out."""

    pattern: str
    instead: str
    under: tuple[str, ...] = ("Sources/",)
    besides: tuple[str, ...] = field(default=())
    suffixes: tuple[str, ...] = (".swift",)
    in_comments: bool = False

    def concerns(self, file: File) -> bool:
        """Whether the word is banned in this file."""
        return (
            file.suffix in self.suffixes
            and file.path.startswith(self.under)
            and not file.path.startswith(self.besides)
        )

    def lines(self, text: str) -> Iterator[int]:
        """Yields the number of each line of a source where the word stands."""
        code = text if self.in_comments else blanked(text)
        for match in re.finditer(self.pattern, code):
            yield code.count("\n", 0, match.start()) + 1


def _folders(*targets: str) -> tuple[str, ...]:
    return tuple(f"Sources/{target}/" for target in targets)


BANNED_WORDS = (
    BannedWord(
        r"@unchecked\s+Sendable",
        "confine it to a loop, use a Mutex, or pass it as `sending`",
        besides=_folders("EventLoop"),
    ),
    BannedWord(
        r"nonisolated\s*\(\s*unsafe\s*\)",
        "confine it to a loop, or use a Mutex",
        besides=_folders("EventLoop"),
    ),
    BannedWord(
        r"\bPQ(exec|execParams|execPrepared|prepare|describePrepared|connectdb|connectdbParams"
        r"|setdb|setdbLogin|reset|ping|pingParams|fn|endcopy)\b",
        "it blocks the loop: use the PQsend… and PQconnectStart… family",
    ),
    BannedWord(
        r"\bPQ[a-z]\w*\s*\(",
        "only Sources/Postgres speaks to libpq",
        besides=_folders("Postgres", "CPostgres"),
    ),
    BannedWord(
        r"(?<![.\w])(print|debugPrint|dump)\s*\(",
        "write a log line; only the command line prints",
        besides=_folders("needletail"),
    ),
    BannedWord(r"\btry!", "handle the error, or let it out typed", under=("Sources/", "Tests/")),
    BannedWord(r"(?<![.\w])fatalError\s*\(", "throw, or state a precondition of our own"),
    BannedWord(
        r"\b(TODO|FIXME|XXX|HACK)\b",
        "finish it, or open an issue",
        under=("",),
        besides=("Tests/TidyTests/",),
        suffixes=(".swift", ".py", ".sql", ".c", ".h", ".proto", ".bash", ".md", ".yaml", ""),
        in_comments=True,
    ),
    BannedWord(
        r"\bTask(\.detached|\.immediate|\.immediateDetached)?\s*(<[^>]*>)?\s*(\([^)]*\))?\s*\{",
        "use `loop.spawn` or a task group: a bare task leaves its loop's thread",
        # The operations page is served off the loops, so that it answers when they do not.
        besides=(*_folders("EventLoop"), "Sources/ControlPlane/Observability/OperationsPage.swift"),
    ),
    BannedWord(
        r"\bimport\s+(\w+\s+)?Foundation\w*",
        "use Glibc or Synchronization",
        under=_folders(*MECHANISMS),
    ),
    BannedWord(
        r"\b(Task|Thread)\.sleep\b|(?<![.\w])(u|nano)?sleep\s*\(",
        "wait for a signal with a limit, or move the clock",
        under=("Tests/",),
        besides=("Tests/TestSupport/",),  # where it waits for programs, with a limit
    ),
    BannedWord(
        r"\btime\.sleep\s*\(",
        "wait for a signal with a limit (a helper beside the tests may poll)",
        under=("Tests/EndToEnd/test_", "SDKs/python/tests/test_", "Generators/"),
        suffixes=(".py",),
    ),
    BannedWord(r"\bimport\s+XCTest\b", "write it with Swift Testing", under=("Tests/", "Sources/")),
)
