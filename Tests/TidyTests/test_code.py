"""What code must not say, and must not import."""

import pytest

from tidy.layers import C_TARGETS, MAY_IMPORT, forbidden_imports
from tidy.repository import files
from tidy.swift_source import blanked
from tidy.words import BANNED_WORDS, BannedWord


@pytest.mark.parametrize("word", BANNED_WORDS, ids=lambda word: word.pattern)
def test_a_banned_word_stands_nowhere(word: BannedWord) -> None:
    found = [
        f"{file.path}:{line}: {word.instead}"
        for file in files()
        if word.concerns(file)
        for line in word.lines(file.text)
    ]
    assert not found, "\n".join(found)


def test_a_target_imports_only_what_its_layer_may() -> None:
    found = [
        f"{file.path}: {file.target} must not import {module}"
        for file in files(".swift", generated=True)
        if file.target is not None
        for module in sorted(forbidden_imports(file.target, blanked(file.text)))
    ]
    assert not found, "\n".join(found)


def test_every_swift_target_has_its_place_in_the_layers() -> None:
    targets = {file.target for file in files(".swift", generated=True) if file.target}
    assert not targets - set(MAY_IMPORT), "add it to tidy/layers.py and to ARCHITECTURE.md"


def test_a_c_module_is_imported_by_one_target() -> None:
    for module in C_TARGETS:
        importers = [target for target, may in MAY_IMPORT.items() if module in may]
        assert len(importers) <= 1, f"{module} is imported by {importers}"
