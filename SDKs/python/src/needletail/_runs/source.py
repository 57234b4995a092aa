"""Where the code of a run comes from: the program, its repository, the machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from needletail._generated.tracking import RunSource

# A repository may be large, and its disk slow: what is not told by then is left out.
GIT_SECONDS = 2.0
CODE_BYTES_MAX = 16 << 20
# What the server takes of each text.
TEXT_BYTES_MAX = 1_000


def own_source() -> RunSource:
    """What this process can tell of itself; nothing here raises, or takes long."""
    file = _program()
    repository = Repository(Path.cwd() if file is None else file.parent)
    return RunSource(
        entry_point=_shortened(_entry_point(file, repository.root)),
        git_commit=repository.commit,
        git_repository=_shortened(repository.address),
        git_branch=_shortened(repository.branch),
        git_dirty=repository.is_dirty,
        code_digest=_digest(file),
        host=_shortened(socket.gethostname()),
        process_number=os.getpid(),
    )


class Repository:
    """What git says of a folder; empty where there is no git, or no repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._until = time.monotonic() + GIT_SECONDS
        self.root: Path | None = None
        self.commit = self.branch = self.address = ""
        self.is_dirty = False
        told = self._git("rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD")
        if told is None:
            return
        root, self.commit, branch = told.splitlines()
        self.root = Path(root)
        # Git's word for none.
        self.branch = "" if branch == "HEAD" else branch
        self.address = without_credentials(
            (self._git("config", "--get", "remote.origin.url") or "").strip()
        )
        self.is_dirty = bool(self._git("status", "--porcelain", "--untracked-files=no"))

    def _git(self, *words: str) -> str | None:
        program = shutil.which("git")
        left = self._until - time.monotonic()
        if program is None or left <= 0:
            return None
        try:
            # No program that a repository's own settings name is run.
            told = subprocess.run(  # noqa: S603 - the program that PATH names, without a shell
                [program, "-c", "core.fsmonitor=false", "-C", str(self._folder), *words],
                capture_output=True,
                check=True,
                timeout=left,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return told.stdout.decode(errors="replace")


def without_credentials(address: str) -> str:
    """A repository's address without who reads it, and by which password."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if not parts.scheme or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _program() -> Path | None:
    named = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        return Path(named).resolve() if named else None
    except OSError:
        return None


def _entry_point(file: Path | None, root: Path | None) -> str:
    """The module that `python -m` named, or the file: within its repository, else by its name."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    if file is None:
        # Jupyter names the notebook here.
        return Path(os.environ.get("JPY_SESSION_NAME", "")).name
    if root is not None and file.is_relative_to(root.resolve()):
        return str(file.relative_to(root.resolve()))
    return file.name


def _digest(file: Path | None) -> str:
    try:
        if file is None or file.stat().st_size > CODE_BYTES_MAX:
            return ""
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _shortened(text: str) -> str:
    clean = "".join(character for character in text if character.isprintable())
    return clean.encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
