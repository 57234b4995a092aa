"""What is kept, what is generated, and what points to what."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tidy.repository import ROOT, files, tracked
from tidy.texts import (
    anchors,
    links,
    migration_problems,
    select_star_lines,
    stamp_problem,
    visibility_rules,
)

SECRETS = re.compile(r"\.(key|pem|crt|csr|p12|srl)$|(^|/)(Package\.resolved|\.env|\.netrc)$")
MACHINE_PATHS = re.compile(r"(?<![\w.*~$}-])/(work|root|home|Users|tmp/\w+)/[\w.-]+")

SCRIPTS = sorted(
    path
    for folder in ("Scripts", ".ci", "Certificates")
    for path in (ROOT / folder).glob("*")
    if path.is_file() and os.access(path, os.X_OK)
)


def test_a_generated_file_is_as_its_generator_left_it() -> None:
    problems = [
        f"{file.path}: {problem}"
        for file in files(".swift", ".py", ".pyi", ".c", ".h", generated=True)
        if file.is_generated and file.text and (problem := stamp_problem(file.text)) is not None
    ]
    assert not problems, "\n".join(problems)


def test_every_migration_goes_up_and_down_and_has_its_own_number() -> None:
    folder = "Sources/Storage/Migrations/"
    migrations = [file.path for file in files(".sql") if file.path.startswith(folder)]
    problems = list(migration_problems(migrations))
    assert not problems, "\n".join(problems)


def test_no_statement_selects_all_columns() -> None:
    found = [
        f"{file.path}:{line}: name the columns"
        for file in files(".sql")
        for line in select_star_lines(file.text)
    ]
    assert not found, "\n".join(found)


def test_listings_agree_on_what_their_callers_see() -> None:
    places: dict[str, list[str]] = {}
    for file in files(".sql"):
        for line, rule in visibility_rules(file.text):
            places.setdefault(rule, []).append(f"{file.path}:{line}")
    assert places, "no listing says it as tidy.texts expects"
    differing = "\n".join(f"{', '.join(where)}: {rule}" for rule, where in places.items())
    assert len(places) == 1, f"one has changed without the others:\n{differing}"


def test_no_key_certificate_or_lock_file_is_committed() -> None:
    found = [path for path in tracked() if SECRETS.search(path)]
    assert not found, f"git rm --cached {' '.join(found)}"


def test_no_text_names_a_path_of_one_machine() -> None:
    found = [
        f"{file.path}:{number}: {match[0]}"
        for file in files(generated=True)
        if not file.path.startswith("Tests/TidyTests/")
        for number, line in enumerate(file.text.splitlines(), 1)
        for match in MACHINE_PATHS.finditer(line)
        if not match[0].startswith("/tmp/") or "/tmp/needletail" not in line
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_explains_itself(script: Path) -> None:
    answer = subprocess.run(
        [script, "--help"], cwd="/", capture_output=True, text=True, timeout=20, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("Usage: ")


def test_every_link_leads_somewhere() -> None:
    broken = []
    for file in files(".md"):
        for link in links(file.text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (ROOT / file.path).parent / path if path else ROOT / file.path
            if not target.exists():
                broken.append(f"{file.path}: {link} does not exist")
            elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
                broken.append(f"{file.path}: {link} names no heading")
    assert not broken, "\n".join(broken)
