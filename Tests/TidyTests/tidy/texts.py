"""Rules for SQL, migrations, generated files and Markdown, as functions of their text."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

_STAMP = re.compile(r"^.*\bsha-?256\b.*?\b([0-9a-f]{64})\b.*\n", re.MULTILINE | re.IGNORECASE)
_MIGRATION = re.compile(r"^(\d{4})_[a-z0-9_]+\.(up|down)\.sql$")
_SQL_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'[^']*'", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def stamp_problem(text: str) -> str | None:
    """Says what is wrong with the stamp of a generated file; None when it is right.

    The stamp is the SHA-256 of everything below its line, within the first ten lines.
    """
    match = _STAMP.search("".join(text.splitlines(keepends=True)[:10]))
    if match is None:
        return "has no SHA-256 stamp in its first ten lines"
    digest = hashlib.sha256(text[match.end() :].encode()).hexdigest()
    return None if digest == match[1] else "was edited by hand: run Scripts/generate"


def migration_problems(names: Iterable[str]) -> Iterator[str]:
    """Finds migrations without their other half, badly named, or numbered twice or with gaps."""
    halves: dict[str, set[str]] = {}
    for name in names:
        match = _MIGRATION.match(PurePosixPath(name).name)
        if match is None:
            yield f"{name}: is not NNNN_what_it_does.up.sql or .down.sql"
            continue
        stem = PurePosixPath(name).name.removesuffix(f".{match[2]}.sql")
        halves.setdefault(stem, set()).add(match[2])
    for stem, directions in sorted(halves.items()):
        for missing in sorted({"up", "down"} - directions):
            yield f"{stem}: has no {missing} migration"
    counts = Counter(int(stem[:4]) for stem in halves)
    for number in range(1, max(counts, default=0) + 1):
        if counts[number] != 1:
            yield f"migration {number:04}: there are {counts[number]} of this number"


def select_star_lines(sql: str) -> Iterator[int]:
    """Yields the lines of a SQL file that select all columns, whatever they may be.

    A statement in a string is left alone: it is made for tables of one shape, as partitions are.
    """
    code = _SQL_TEXT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)
    for match in re.finditer(r"\bselect\s+(?:distinct\s+)?(?:\w+\.)?\*", code, re.IGNORECASE):
        yield code.count("\n", 0, match.start()) + 1


def links(markdown: str) -> Iterator[str]:
    """Yields the targets of a page's links; those in code are no links."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", markdown, flags=re.DOTALL | re.MULTILINE)
    for match in _LINK.finditer(prose):
        yield match[1]


def anchors(markdown: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", markdown, re.MULTILINE)
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return set(slugs)


# What an administrator sees of a listing, and what others do.
_VISIBILITY = re.compile(r"\bcase\s+when :sees_all_projects\b.*?\n\s*end\b", re.DOTALL)
_LISTED = re.compile(r"\bneedletail_sees_project\(\s*(\w+)\.project_id")


def visibility_rules(text: str) -> Iterator[tuple[int, str]]:
    """Finds the rules of listings on who sees what, each with its line and as of a `row`."""
    for match in _VISIBILITY.finditer(text):
        rule = " ".join(match[0].split())
        if listed := _LISTED.search(rule):
            rule = re.sub(rf"\b{listed[1]}\.", "row.", rule)
        yield text.count("\n", 0, match.start()) + 1, rule
