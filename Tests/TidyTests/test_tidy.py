"""The rules themselves, tried on what they must find and on what they must let pass."""

import hashlib

import pytest

from tidy.layers import forbidden_imports
from tidy.swift_source import blanked, functions
from tidy.texts import (
    anchors,
    links,
    migration_problems,
    select_star_lines,
    stamp_problem,
    visibility_rules,
)
from tidy.words import BANNED_WORDS


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c */ d */ e", "a  e"),
        ('f("x { y")', "f()"),
        ('f("\\(g("}")) {")', "f()"),
        ('f(#"a " \\(b) {"#)', "f()"),
        ('let s = """\n  "{"\n  """\nx', "let s = \n\n\nx"),
        ('"a\\"b{" + c', " + c"),
    ],
)
def test_comments_and_strings_are_no_code(source: str, code: str) -> None:
    result = blanked(source)
    assert len(result) == len(source)
    assert result.replace(" ", "") == code.replace(" ", "")


def test_functions_are_measured_from_keyword_to_brace() -> None:
    source = """
protocol Shape {
  func area() -> Int
  init(side: Int)
}
struct Square {
  init(
    side: Int
  ) {
    self.init(side)
  }
  func area<T>(_ body: (Int) -> T = { 0 }) async throws(CallError) -> [T]
  where T: Sendable {
    if true { }
  }
  deinit { close() }
}
"""
    assert [(function.name, function.line_count) for function in functions(source)] == [
        ("init", 5),
        ("area", 4),
        ("deinit", 1),
    ]


@pytest.mark.parametrize(
    ("code", "is_banned"),
    [
        ("final class A: @unchecked Sendable {}", True),
        ("nonisolated(unsafe) var a = 0", True),
        ("// @unchecked Sendable", False),
        ("unsafe PQexec(connection, text)", True),
        ("unsafe PQsendQueryParams(connection)", True),
        ('print("a")', True),
        ("encoder.print(a)", False),
        ("try! f()", True),
        ("Task { await f() }", True),
        ("Task(executorPreference: loop) { await f() }", True),
        ("func f(_ task: Task<Void, Never>) {", False),
        ("await withTaskGroup(of: Int.self) {", False),
        ("fatalError()", True),
    ],
)
def test_a_banned_word_is_found_in_code_only(code: str, *, is_banned: bool) -> None:
    words = [word for word in BANNED_WORDS if "Sources/" in word.under]
    assert any(True for word in words for _ in word.lines(code)) is is_banned


def test_a_service_may_not_import_another() -> None:
    code = "internal import Tracking\npublic import RPC\n@preconcurrency import CPostgres\n"
    assert forbidden_imports("Identity", code) == {"Tracking", "CPostgres"}
    assert forbidden_imports("ControlPlane", "import Tracking\nimport RPC") == set()


def test_a_stamp_covers_what_stands_below_it() -> None:
    body = "let a = 1\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    text = f"// Generated \n// SHA-256 of what follows this line: {digest}\n{body}"
    assert stamp_problem(text) is None
    assert stamp_problem(text + " ") == "was edited by hand: run Scripts/generate"
    assert stamp_problem(body) == "has no SHA-256 stamp in its first ten lines"


def test_migrations_come_in_numbered_pairs() -> None:
    assert not list(migration_problems(["0001_a.up.sql", "0001_a.down.sql"]))
    assert list(migration_problems(["0001_a.up.sql", "0003_b.up.sql", "0003_b.down.sql", "c.sql"]))[
        1:
    ] == ["0001_a: has no down migration", "migration 0002: there are 0 of this number"]


def test_select_star_is_found_and_count_star_is_not() -> None:
    sql = "select count(*)\nfrom a -- select *\nwhere b in (\nselect *\nor 'select * from c'"
    assert list(select_star_lines(sql)) == [4]


def test_links_and_anchors() -> None:
    page = '# How it works: a `b`\n[a](b.md#c) `[x](y)` ![p](q.svg "t")\n```\n[n](o)\n```\n'
    assert list(links(page)) == ["b.md#c", "q.svg"]
    assert anchors(page) == {"how-it-works-a-b"}


VISIBILITY = """
where
    {row}.deleted_at is null
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where gone.project_id = {row}.project_id{more}
                )
        else needletail_sees_project({row}.project_id, :user_id)
    end
order by {row}.id desc
"""


def test_what_listings_show_is_compared_whatever_they_list() -> None:
    [(line, of_runs)] = visibility_rules(VISIBILITY.format(row="run", more=""))
    [(_, of_experiments)] = visibility_rules(VISIBILITY.format(row="experiment", more=""))
    [(_, changed)] = visibility_rules(VISIBILITY.format(row="run", more=" and false"))
    assert line == 4
    assert of_runs == of_experiments
    assert "gone.project_id = row.project_id" in of_runs
    assert changed != of_runs
