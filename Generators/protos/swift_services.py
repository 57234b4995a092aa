"""Renders both sides of a service: the protocol of its handlers and the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.model import File, Method, MethodKind, Service
from Generators.protos.names import swift_target
from Generators.protos.swift_methods import method_name
from Generators.protos.swift_text import LINE_LENGTH, doc_comment, indented

if TYPE_CHECKING:
    from Generators.protos.swift_types import SwiftTypes

_SERVED = {
    MethodKind.UNARY: "unary",
    MethodKind.SERVER_STREAMING: "serverStreaming",
    MethodKind.CLIENT_STREAMING: "clientStreaming",
    MethodKind.BIDIRECTIONAL: "bidirectional",
}


def render_handlers(file: File, service: Service, types: SwiftTypes) -> str:
    """What a server implements, and how its router calls it."""
    imports = "public import Messages"
    if swift_target(file.package) != "RPC":
        imports += "\npublic import RPC"
    requirements = "\n\n".join(
        f"{doc_comment(method.comment, 1)}\n{_function(method, types)}"
        for method in service.methods
    )
    methods = "\n".join(_served(service, method, types) for method in service.methods)
    return f"""{imports}

{doc_comment(service.comment)}
public protocol {service.name}Handlers: Sendable {{
{indented(requirements)}
}}

extension {service.name}Handlers {{
  /// Every method of the service, for the router.
  public var methods: [ServedMethod] {{
    [
{indented(methods, 3)}
    ]
  }}
}}
"""


def _parameters(method: Method, types: SwiftTypes) -> tuple[list[tuple[str, str]], str]:
    """Names and types of a handler's parameters, and its result; empty for none."""
    request, response = types.name(method.request), types.name(method.response)
    parameters = {
        MethodKind.UNARY: [("request", request)],
        MethodKind.SERVER_STREAMING: [
            ("request", request),
            ("responses", f"ResponseStream<{response}>"),
        ],
        MethodKind.CLIENT_STREAMING: [("requests", f"RequestStream<{request}>")],
        MethodKind.BIDIRECTIONAL: [
            ("requests", f"RequestStream<{request}>"),
            ("responses", f"ResponseStream<{response}>"),
        ],
    }[method.kind]
    streams = method.kind in {MethodKind.SERVER_STREAMING, MethodKind.BIDIRECTIONAL}
    return [*parameters, ("call", "CallContext")], "" if streams else response


def _function(method: Method, types: SwiftTypes) -> str:
    parameters, result = _parameters(method, types)
    arguments = ", ".join(f"_ {name}: {type_}" for name, type_ in parameters)
    effects = "async throws(CallError)" + (f" -> {result}" if result else "")
    name = method_name(method)
    line = f"func {name}({arguments}) {effects}"
    if len(line) <= LINE_LENGTH - 2:
        return line
    line = f"  {arguments}\n"
    if len(line) > LINE_LENGTH - 2:
        line = "".join(f"  _ {name}: {type_},\n" for name, type_ in parameters)
        line = line.removesuffix(",\n") + "\n"
    return f"func {name}(\n{line}) {effects}"


def _served(service: Service, method: Method, types: SwiftTypes) -> str:
    parameters, result = _parameters(method, types)
    names = ", ".join(name for name, _ in parameters)
    arguments = ", ".join(f"{name}: {type_}" for name, type_ in parameters)
    effects = "async throws(CallError)" + (f" -> {result}" if result else "")
    name = method_name(method)
    signature = f"({arguments}) {effects} in"
    if len(signature) > LINE_LENGTH - 8:
        rows = ",\n".join(f"    {name}: {type_}" for name, type_ in parameters)
        signature = f"(\n{rows}\n  ) {effects} in"
    return (
        f"ServedMethod.{_SERVED[method.kind]}({service.name}Methods.{name}) {{\n"
        f"  {signature}\n"
        f"  try await self.{name}({names})\n"
        f"}},"
    )


def render_client(service: Service, types: SwiftTypes) -> str:
    """What a client calls."""
    functions = "\n\n".join(
        f"{doc_comment(method.comment, 1)}\n{_client_function(service, method, types)}"
        for method in service.methods
    )
    return f"""public import Messages

{doc_comment(service.comment)}
public struct {service.name}Client: Sendable {{
  let connection: Connection

  /// A client that calls over `connection`.
  public init(_ connection: Connection) {{
    self.connection = connection
  }}

{indented(functions)}
}}
"""


def _client_function(service: Service, method: Method, types: SwiftTypes) -> str:
    request, response = types.name(method.request), types.name(method.response)
    result = {
        MethodKind.UNARY: response,
        MethodKind.SERVER_STREAMING: f"ResponseReader<{response}>",
        MethodKind.CLIENT_STREAMING: f"RequestWriter<{request}, {response}>",
        MethodKind.BIDIRECTIONAL: f"DuplexCall<{request}, {response}>",
    }[method.kind]
    sends_one = method.kind in {MethodKind.UNARY, MethodKind.SERVER_STREAMING}
    parameters = (f"_ request: {request}, " if sends_one else "") + (
        "options: CallOptions = CallOptions()"
    )
    passed = "request, options" if sends_one else "options"
    name = method_name(method)
    head = f"public func {name}("
    tail = f") async throws(ClientError) -> {result} {{"
    signature = f"{head}\n  {parameters}\n{tail}"
    if len(head + parameters + tail) <= LINE_LENGTH - 2:
        signature = f"{head}{parameters}{tail}"
    body = f"try await connection.{method.kind.value}({service.name}Methods.{name}, {passed})"
    return f"{signature}\n  {body}\n}}"
