"""Lengths of files, functions and lines."""

from tidy.repository import File, files
from tidy.swift_source import functions

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 100

SOURCES = (".swift", ".py", ".sql", ".c", ".h", ".bash")


def scripts() -> list[File]:
    return [file for file in files("") if file.path.startswith(("Scripts/", ".ci/"))]


def test_no_file_is_longer_than_400_lines() -> None:
    long = [
        f"{file.path}: {count} lines; split it by what its parts are about"
        for file in files(*SOURCES) + scripts()
        if (count := file.text.count("\n")) > MAX_FILE_LINES
    ]
    assert not long, "\n".join(long)


def test_no_swift_function_is_longer_than_60_lines() -> None:
    long = [
        f"{file.path}:{function.first_line}: {function.name} has {function.line_count} lines"
        for file in files(".swift")
        for function in functions(file.text)
        if function.line_count > MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_no_line_is_wider_than_100_columns() -> None:
    wide = [
        f"{file.path}:{number}: {len(line)} columns"
        for file in files(*SOURCES) + scripts()
        for number, line in enumerate(file.text.splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert not wide, "\n".join(wide)


def test_text_ends_with_a_line_break_and_has_no_tabs_or_trailing_spaces() -> None:
    problems = []
    for file in files(*SOURCES, ".md", ".proto", ".yaml", ".toml") + scripts():
        if file.text and not file.text.endswith("\n"):
            problems.append(f"{file.path}: does not end with a line break")
        problems += [
            f"{file.path}:{number}: a tab or trailing space"
            for number, line in enumerate(file.text.splitlines(), 1)
            if "\t" in line or line != line.rstrip()
        ]
    assert not problems, "\n".join(problems)


def test_no_merge_was_left_half_done() -> None:
    marks = ("<<<<<<< ", ">>>>>>> ")
    found = [
        f"{file.path}:{number}"
        for file in files(generated=True)
        for number, line in enumerate(file.text.splitlines(), 1)
        if line.startswith(marks)
    ]
    assert not found, "\n".join(found)
