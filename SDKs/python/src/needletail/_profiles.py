"""The stored profiles, which `needletail login` writes and nobody but their owner may read."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

from needletail.errors import SettingsError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """One profile as it is stored."""

    name: str
    content: object
    path: Path


def config_path() -> Path:
    """`NEEDLETAIL_CONFIG`, else below `XDG_CONFIG_HOME` or `~/.config`."""
    named = os.environ.get("NEEDLETAIL_CONFIG")
    if named:
        return Path(named)
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "needletail" / "config.json"


def find(wanted: str | None) -> Profile | None:
    """The profile of a name, else the current one; None when nobody asks and there is none.

    Raises:
        SettingsError: There is no such profile, or the file can't be used.
    """
    try:
        path = config_path()
    except RuntimeError:
        # There is no home folder.
        if wanted:
            raise SettingsError(f"profile {wanted}: neither HOME nor NEEDLETAIL_CONFIG") from None
        return None
    document = _read(path)
    if document is None:
        if wanted:
            raise SettingsError(f"profile {wanted} is asked for, but there is no {path}")
        return None
    profiles = document.get("profiles", {})
    current = document.get("current")
    if not isinstance(profiles, dict):
        raise SettingsError(f"{path}: profiles must be an object")
    if any(not isinstance(content, dict) for content in profiles.values()):
        raise SettingsError(f"{path}: a profile must be an object")
    if current is not None and not isinstance(current, str):
        raise SettingsError(f"{path}: current must be a string")
    name = wanted or current or "default"
    if name in profiles:
        return Profile(name, profiles[name], path)
    if wanted:
        known = ", ".join(sorted(profiles)) or "none"
        raise SettingsError(f"{path} holds no profile {wanted}; there are: {known}")
    return None


def read_json(path: str | os.PathLike[str]) -> dict[str, object]:
    """The JSON object in a file."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error}") from None
    return _parse(data, path)


def _parse(data: bytes, path: str | os.PathLike[str]) -> dict[str, object]:
    try:
        content = json.loads(data.decode())
    except ValueError as error:
        raise SettingsError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a JSON object")
    return content


def _read(path: Path) -> dict[str, object] | None:
    try:
        _check_link(path)
        with path.open("rb") as file:
            _check_owner(os.fstat(file.fileno()), path)
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error}") from None
    return _parse(data, path) if data.strip() else {}


def _check_link(path: Path) -> None:
    found = path.lstat()
    if hasattr(os, "geteuid") and stat.S_ISLNK(found.st_mode):
        _check_user(found, f"{path} is a symbolic link")


def _check_owner(found: os.stat_result, path: Path) -> None:
    # What is no file, as /dev/null, keeps no keys.
    if not hasattr(os, "geteuid") or not stat.S_ISREG(found.st_mode):
        return
    _check_user(found, f"{path} is a file")
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise SettingsError(
            f"{path} holds API keys, and others may read or change it: run `chmod 600 {path}`, and"
            " rotate its keys if somebody may have read them"
        )


def _check_user(found: os.stat_result, what: str) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise SettingsError(f"{what} of another user ({found.st_uid}): it is not used")
