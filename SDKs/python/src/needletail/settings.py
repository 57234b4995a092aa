"""Where the server is and who the caller is.

Settings are said in three places: the arguments, the environment, and one stored place. That is the
profile that an argument names, which then comes before the environment; else, after it, the
connection file `NEEDLETAIL_CONNECTION_FILE`, else the profile `NEEDLETAIL_PROFILE`, else the
current profile. The current profile, which nobody named, says nothing about another server than its
own, so that its key never goes there.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from needletail import _profiles
from needletail.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT = 7443
DEFAULT_TIMEOUT_SECONDS = 30.0
SCHEME = "needletail"
_NAMES = (
    "api_key",
    "ca_file",
    "ca_pem",
    "certificate_file",
    "key_file",
    "organization_id",
    "project_id",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a connection needs."""

    host: str
    """Name or address; the server's certificate must bear it."""

    port: int = DEFAULT_PORT

    api_key: str = dataclasses.field(repr=False)
    """Empty for a connection without a key, which may log in and little else."""

    ca_file: str | None = None
    """PEM of the authorities that are trusted; None = the system's."""

    ca_pem: str | None = None
    """The PEM itself, from a profile; a server's own certificate pins that one."""

    certificate_file: str | None = None
    """PEM of the client's own certificate, where the server asks for one."""

    key_file: str | None = None
    """PEM of its private key."""

    organization_id: str = ""
    """From a connection file or profile; empty when unknown."""

    project_id: str = ""
    """The project that runs belong to when none is named; empty when unknown."""

    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    """Of a unary call that names none, and for opening a stream."""

    connect_timeout_seconds: float = math.inf
    """How long a call waits for a connection, where that is less than for its answer."""

    @property
    def address(self) -> str:
        """For messages: `host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def resolve(
    url: str | None = None,
    *,
    api_key: str | None = None,
    is_anonymous: bool = False,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    profile: str | None = None,
    timeout_seconds: float | None = None,
    connect_timeout_seconds: float = math.inf,
) -> Settings:
    """Puts the settings together.

    Raises:
        SettingsError: No address or no API key was found, or a source can't be read.
    """
    environment = {
        "url": os.environ.get("NEEDLETAIL_URL"),
        "api_key": _key(os.environ.get("NEEDLETAIL_API_KEY")),
        "ca_file": os.environ.get("NEEDLETAIL_CA_FILE"),
        "certificate_file": os.environ.get("NEEDLETAIL_CERTIFICATE_FILE"),
        "key_file": os.environ.get("NEEDLETAIL_KEY_FILE"),
    }
    arguments = {
        "url": url,
        "api_key": _key(api_key),
        "ca_file": ca_file,
        "certificate_file": certificate_file,
        "key_file": key_file,
    }
    stored = _stored(profile, url or environment["url"])
    sources = [arguments, stored, environment] if profile else [arguments, environment, stored]
    found = {name: next((s[name] for s in sources if s.get(name)), None) for name in arguments}
    if not found["url"]:
        raise SettingsError(
            "no server: pass url=, set NEEDLETAIL_URL (needletail://host:7443) or"
            " NEEDLETAIL_CONNECTION_FILE (what `needletail up --connection-file` wrote), or store a"
            " profile with `needletail login`"
        )
    if is_anonymous:
        found["api_key"] = ""
    elif not found["api_key"]:
        raise SettingsError(
            "no API key: pass api_key=, set NEEDLETAIL_API_KEY, or run `needletail login`"
        )
    trusting = next((s for s in sources if s.get("ca_file") or s.get("ca_pem")), {})
    host, port = parse_url(found["url"])
    patience = DEFAULT_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
    if not patience > 0:
        raise SettingsError("timeout_seconds must be above 0")
    if not connect_timeout_seconds > 0:
        raise SettingsError("connect_timeout_seconds must be above 0")
    return Settings(
        host=host,
        port=port,
        api_key=found["api_key"] or "",
        ca_file=trusting.get("ca_file"),
        ca_pem=None if trusting.get("ca_file") else trusting.get("ca_pem"),
        certificate_file=found["certificate_file"],
        key_file=found["key_file"],
        organization_id=stored.get("organization_id") or "",
        project_id=stored.get("project_id") or "",
        timeout_seconds=patience,
        connect_timeout_seconds=connect_timeout_seconds,
    )


def parse_url(url: str) -> tuple[str, int]:
    """Host and port of `needletail://host:7443`; the scheme and the port may be left out."""
    if "@" in url:
        # Not repeated: logs are no place for a key.
        raise SettingsError("an address must not have a key in it: set NEEDLETAIL_API_KEY")
    try:
        parts = urlsplit(url if "://" in url else f"{SCHEME}://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"not a server address: {url}: {error}") from None
    if parts.scheme != SCHEME or not host or parts.path not in {"", "/"}:
        raise SettingsError(f"not a server address: {url}; write needletail://host:7443")
    if port == 0:
        raise SettingsError(f"not a server address: {url}: a port is 1 to 65535")
    return host, port or DEFAULT_PORT


def read_connection_file(path: str | os.PathLike[str]) -> dict[str, str | None]:
    """The settings in a file written by `needletail up --connection-file`."""
    return _from_object(_profiles.read_json(path), str(path))


def _stored(profile: str | None, url: str | None) -> Mapping[str, str | None]:
    named = os.environ.get("NEEDLETAIL_CONNECTION_FILE")
    if named and not profile:
        return read_connection_file(named)
    wanted = profile or os.environ.get("NEEDLETAIL_PROFILE")
    found = _profiles.find(wanted)
    if found is None:
        return {}
    content = _from_object(found.content, f"{found.path}: {found.name}")
    if wanted or not url:
        return content
    own = content.get("url")
    return content if own and parse_url(own) == parse_url(url) else {}


def _key(text: str | None) -> str | None:
    """A key without the white space that a paste brings along."""
    return text.strip() if text else None


def _from_object(content: object, source: str) -> dict[str, str | None]:
    if not isinstance(content, dict):
        raise SettingsError(f"{source} must be a JSON object")
    result: dict[str, str | None] = {}
    for name in _NAMES:
        value = content.get(name)
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{source}: {name} must be text")
        result[name] = value
    result["api_key"] = _key(result["api_key"])
    address, port = content.get("address"), content.get("port", DEFAULT_PORT)
    if address is not None:
        if not isinstance(address, str) or not isinstance(port, int):
            raise SettingsError(f"{source}: address must be text and port a number")
        host = f"[{address}]" if ":" in address and not address.startswith("[") else address
        result["url"] = f"{SCHEME}://{host}:{port}"
    return result
