"""Names of the database as Swift has them."""

from __future__ import annotations

_ACRONYMS = {
    "api": "API",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "http": "HTTP",
    "id": "ID",
    "ids": "IDs",
    "ip": "IP",
    "json": "JSON",
    "sql": "SQL",
    "uri": "URI",
    "url": "URL",
    "urls": "URLs",
    "uuid": "UUID",
}

_KEYWORDS = frozenset(
    {
        "as",
        "associatedtype",
        "break",
        "case",
        "catch",
        "class",
        "continue",
        "default",
        "defer",
        "deinit",
        "do",
        "else",
        "enum",
        "extension",
        "fallthrough",
        "false",
        "fileprivate",
        "for",
        "func",
        "guard",
        "if",
        "import",
        "in",
        "init",
        "inout",
        "internal",
        "is",
        "let",
        "nil",
        "operator",
        "precedencegroup",
        "private",
        "protocol",
        "public",
        "repeat",
        "rethrows",
        "return",
        "self",
        "static",
        "struct",
        "subscript",
        "super",
        "switch",
        "throw",
        "throws",
        "true",
        "try",
        "typealias",
        "var",
        "where",
        "while",
    }
)


def lower_camel(name: str) -> str:
    """`run_id` becomes `runID`, `id` stays `id`."""
    first, *rest = [part for part in name.split("_") if part]
    return first + "".join(_ACRONYMS.get(part, part[:1].upper() + part[1:]) for part in rest)


def upper_camel(name: str) -> str:
    """`metric_appends` becomes `MetricAppends`, `getRun` becomes `GetRun`."""
    camel = lower_camel(name)
    first, _, _ = name.partition("_")
    if acronym := _ACRONYMS.get(first):
        return acronym + camel[len(first) :]
    return camel[:1].upper() + camel[1:]


def identifier(name: str) -> str:
    """Quote a name that is a keyword."""
    return f"`{name}`" if name in _KEYWORDS else name


def service_prefix(service: str) -> str:
    """`Tracking` becomes `tracking`, `RPC` becomes `rpc`."""
    return service.lower() if service.isupper() else service[:1].lower() + service[1:]
