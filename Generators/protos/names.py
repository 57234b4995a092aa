"""How names of .proto files are spelled elsewhere."""

from __future__ import annotations

import re

ACRONYMS = {"id": "ID", "ids": "IDs", "json": "JSON", "url": "URL", "rpc": "RPC", "uuid": "UUID"}

SWIFT_KEYWORDS = frozenset(
    """
    actor as associatedtype await break case catch class continue default defer deinit do else
    enum extension fallthrough false fileprivate for func guard if import in init inout
    internal is let nil operator precedencegroup private protocol public repeat rethrows
    return self Self static struct subscript super switch throw throws true try typealias
    unsafe var where while Type Any
    """.split(),  # noqa: SIM905
)

# protoc-gen-c puts an underscore behind these.
C_KEYWORDS = frozenset(
    """
    and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast
    continue default delete do double dynamic_cast else enum explicit extern false float for
    friend goto if inline int long mutable namespace new not not_eq operator or or_eq private
    protected public register reinterpret_cast return short signed sizeof static static_cast
    struct switch template this throw true try typedef typeid typename union unsigned using
    virtual void volatile wchar_t while xor xor_eq
    """.split(),  # noqa: SIM905
)


def lower_camel(snake: str) -> str:
    """`project_id` → `projectID`; the first word stays small."""
    first, *rest = snake.lower().strip("_").split("_")
    return first + "".join(ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in rest)


def upper_camel(snake: str) -> str:
    """`target_stage` → `TargetStage`."""
    words = snake.lower().strip("_").split("_")
    return "".join(ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in words)


def first_lower(camel: str) -> str:
    """`CreateRun` → `createRun`, `URLOf` → `urlOf`."""
    match = re.match(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+", camel)
    return camel[: match.end()].lower() + camel[match.end() :] if match else camel


def upper_snake(camel: str) -> str:
    """`RunStatus` → `RUN_STATUS`, as buf has it."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", camel)
    return re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", parted).upper()


def escaped(identifier: str) -> str:
    """An identifier that Swift takes for one."""
    return f"`{identifier}`" if identifier in SWIFT_KEYWORDS else identifier


def swift_type(full_name: str, package: str) -> str:
    """`needletail.rpc.v1.HealthResponse.State` → `HealthResponse.State`."""
    return full_name.removeprefix(f"{package}.")


def swift_file(path: str) -> str:
    """`needletail/tracking/v1/runs.proto` → `TrackingRuns`, `…/tracking.proto` → `Tracking`."""
    *_, service, version, name = path.removesuffix(".proto").split("/")
    prefix = camel_part(service) + ("" if version == "v1" else version.upper())
    return prefix if name == service else prefix + upper_camel(name)


def camel_part(part: str) -> str:
    """`tracking` → `Tracking`, `rpc` → `RPC`."""
    return upper_camel(part)


def swift_target(package: str) -> str:
    """`needletail.tracking.v1` → `Tracking`: the target that serves the package."""
    return camel_part(package.split(".")[-2])


def c_struct(full_name: str) -> str:
    """`needletail.rpc.v1.Method` → `Needletail__Rpc__V1__Method`, as protoc-gen-c has it."""
    return "__".join(_c_camel(part) for part in full_name.split("."))


def c_lower(full_name: str) -> str:
    """`needletail.rpc.v1.WhoAmI` → `needletail__rpc__v1__who_am_i`, as protoc-gen-c has it."""
    parts = (re.sub(r"(?<=[^A-Z])([A-Z])", r"_\1", part) for part in full_name.split("."))
    return "__".join(parts).lower()


def c_field(name: str) -> str:
    """A field's name in C."""
    lower = name.lower()
    return f"{lower}_" if lower in C_KEYWORDS else lower


def _c_camel(part: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in part.split("_"))
