"""Short words for the steps of a conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vectors import Json, Meaning


@dataclass(frozen=True)
class Conversation:
    """Steps with what is expected after each."""

    name: str
    description: str
    steps: list[Meaning]
    limits: dict[str, Json] = field(default_factory=dict)

    def json(self) -> Meaning:
        """The conversation as it is in the file."""
        return {
            "name": self.name,
            "description": self.description,
            "limits": self.limits,
            "steps": list(self.steps),
        }


def frame(stream: int, **body: Json) -> Meaning:
    """A frame's meaning."""
    return {"stream": stream, **body} if stream else {**body}


def call(stream: int, kind: str, *, end: bool = True, message: bool = True) -> Meaning:
    """A Call of the test method of a kind."""
    fields: Meaning = {"method": f"test.Calls/{kind}"}
    if end:
        fields["end_of_requests"] = True
    if not message:
        fields["no_message"] = True
    return frame(stream, call=fields)


def data(stream: int, message: str, *, end: bool = False) -> Meaning:
    """A Data frame; the message in hexadecimal."""
    fields: Meaning = {"message": message} if message else {}
    if end:
        fields["end_of_requests"] = True
    return frame(stream, data=fields)


def credit(stream: int, count: int) -> Meaning:
    """A Credit."""
    return frame(stream, credit={"bytes": str(count)} if count else {})


def cancel(stream: int) -> Meaning:
    """A Cancel."""
    return frame(stream, cancel={})


def client(meaning: Meaning, *expect: Json) -> Meaning:
    """The client sends a frame."""
    return {"client": meaning, "expect": list(expect)}


def client_bytes(sent: bytes, *expect: Json) -> Meaning:
    """The client sends bytes."""
    return {"client_bytes": sent.hex(), "expect": list(expect)}


def server(action: Meaning, *expect: Json) -> Meaning:
    """A handler, or the server's owner, acts."""
    return {"server": action, "expect": list(expect)}


def wait(milliseconds: int, *expect: Json) -> Meaning:
    """Time passes."""
    return {"wait_ms": milliseconds, "expect": list(expect)}


def writes(stream: int, **body: Json) -> Meaning:
    """The server writes a frame."""
    return {"frame": frame(stream, **body)}


def ends(stream: int, code: int, reason: str = "") -> Meaning:
    """The server writes End with a status."""
    status: Meaning = {"code": code}
    if reason:
        status["reason"] = reason
    return writes(stream, end={"status": status})


def closed_with(reason: str) -> Meaning:
    """The server writes Goaway with a status of this reason."""
    return writes(0, goaway={"status": {"reason": reason}})


def starts(stream: int) -> Meaning:
    """A handler starts."""
    return {"start": stream}


def delivers(stream: int, message: str, *, end: bool = False) -> Meaning:
    """A handler is given a message."""
    return {"deliver": {"stream": stream, "message": message, "end_of_requests": end}}


GREETING: Final = [client(frame(0, hello={"api_key": "k"}), writes(0, welcome={}))]
