"""Which target may import which: the picture in ARCHITECTURE.md, as a table."""

import re

SERVICES = (
    *("Identity", "Registry", "Tracing", "Tracking"),
    *("Deploy", "Monitor", "Billing", "Workflows"),
)

_SERVICE_IMPORTS = {"RPC", "Messages", "Postgres", "EventLoop"}

MAY_IMPORT: dict[str, set[str]] = {
    "Wire": set(),
    "EventLoop": {"CLinux"},
    "TLS": {"COpenSSL"},
    "Messages": {"CMessages"},
    "Postgres": {"EventLoop", "CPostgres"},
    "RPC": {"Wire", "Messages", "TLS", "Postgres", "EventLoop"},
    "Client": {"Wire", "Messages", "TLS", "EventLoop"},
    "Storage": {"Postgres", "EventLoop"},
    "Artifacts": {"TLS", "Postgres", "EventLoop", "CCurl"},  # digests; identifiers; threads
    **dict.fromkeys(SERVICES, _SERVICE_IMPORTS),
    "Tracking": _SERVICE_IMPORTS | {"Artifacts"},
    "Identity": _SERVICE_IMPORTS | {"TLS"},  # digests and randomness of its keys
    "ControlPlane": {
        *("RPC", "Messages", "Postgres", "TLS", "EventLoop", "Wire", "Storage", "Artifacts"),
        *SERVICES,
        "CProcess",
    },
    "needletail": {
        *("ControlPlane", "Client", "Messages", "Storage"),
        *("EventLoop", "Postgres", "TLS"),  # for the server's settings
        "Wire",  # the statuses and call headers of the client's interface
    },
    "Decisions": {"RPC", "Messages", "EventLoop"},  # of Benchmarks/
}

C_TARGETS = {"CCurl", "CLinux", "COpenSSL", "CProtobufC", "CMessages", "CPostgres", "CProcess"}

_IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)",
    re.MULTILINE,
)


def imports(code: str) -> set[str]:
    """Returns the modules that a Swift source without its comments imports."""
    return set(_IMPORT.findall(code))


def forbidden_imports(target: str, code: str) -> set[str]:
    """Returns those of our own modules that the target must not import, but does."""
    ours = set(MAY_IMPORT) | C_TARGETS
    return (imports(code) & ours) - MAY_IMPORT.get(target, set()) - {target}
