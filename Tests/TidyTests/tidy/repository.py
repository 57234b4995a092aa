"""The files of this repository, as git sees them: tracked, or new and not ignored."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class File:
    """A file by its path from the root of the repository."""

    path: str

    @cached_property
    def text(self) -> str:
        """The content; broken UTF-8 shows as replacement characters."""
        return (ROOT / self.path).read_text(encoding="utf-8", errors="replace")

    @property
    def suffix(self) -> str:
        """The file's ending with its dot, or nothing."""
        return PurePosixPath(self.path).suffix

    @property
    def is_generated(self) -> bool:
        """Whether a generator wrote it."""
        return bool({"Generated", "_generated"} & set(PurePosixPath(self.path).parts))

    @property
    def target(self) -> str | None:
        """The target the file belongs to, when it lies in Sources."""
        parts = PurePosixPath(self.path).parts
        return parts[1] if parts[0] == "Sources" and len(parts) > 2 else None


def files(*suffixes: str, generated: bool = False) -> list[File]:
    """Lists the files with one of these endings (all, when none is given)."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    found = (File(path) for path in sorted(set(output.decode().split("\0"))) if path)
    return [
        file
        for file in found
        if (not suffixes or file.suffix in suffixes)
        and (generated or not file.is_generated)
        and (ROOT / file.path).is_file()
    ]


def tracked() -> list[str]:
    """Lists the paths that are committed or about to be."""
    output = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    return [path for path in output.decode().split("\0") if path]
