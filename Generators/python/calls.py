"""Writes one module a package with its methods: a class a service, sync and asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.python.model import snake_case
from Generators.python.text import docstring

if TYPE_CHECKING:
    from Generators.python.model import Field, Message, Method, Model, Service
    from Generators.python.types import TypesWriter

_RESERVED = {"self", "timeout_seconds", "idempotency_key"}
_NO_PRESENCE = {"message", "map", "timestamp"}


class CallsWriter:
    """Writes the services of one module."""

    def __init__(self, model: Model, module: str, types: TypesWriter) -> None:
        """Takes the types' writer for the annotations of parameters."""
        self._model = model
        self._module = module
        self._types = types

    def write(self) -> str:
        """Returns the module's text, less its header."""
        body: list[str] = []
        for service in self._model.services:
            if service.module != self._module:
                continue
            for method in service.methods:
                body += self._constant(service, method)
            body += self._service(service, is_async=False)
            body += self._service(service, is_async=True)
        return "\n".join([*self._imports("\n".join(body)), *body, ""])

    def _imports(self, body: str) -> list[str]:
        modules = {self._model.modules[n] for n in self._model.messages}
        used = sorted(m for m in modules if f"{m}." in body)
        lines = ["from __future__ import annotations", ""]
        lines += ["import datetime"] if "datetime.datetime" in body else []
        names = ["AsyncIterator", "Iterator", "Mapping", "Sequence"]
        abcs = [n for n in names if f" {n}[" in body]
        lines += [f"from collections.abc import {', '.join(abcs)}"] if abcs else []
        lines += ["", f"from needletail._generated import {', '.join(used)}"]
        lines.append("from needletail._generated.descriptors import message_class")
        bases = [n for n in ("AsyncCaller", "Caller") if f"caller: {n})" in body]
        streams = [
            name
            for name in (
                "AsyncBidirectionalCall",
                "AsyncClientStreamingCall",
                "AsyncMessageStream",
                "BidirectionalCall",
                "ClientStreamingCall",
                "MessageStream",
            )
            if f" {name}[" in body
        ]
        lines.append(f"from needletail._calls import {', '.join(sorted(bases + streams))}")
        lines.append("from needletail._methods import Idempotency, Kind, Method")
        return lines

    def _constant(self, service: Service, method: Method) -> list[str]:
        request, response = self._type(method.request), self._type(method.response)
        decode = self._type(method.response, "decode_")
        shown = response
        unwrapped = self._unwrapped(method)
        if unwrapped is not None:
            shown = self._types.annotation(unwrapped)
            decode = f"lambda message: {decode}(message).{unwrapped.name}"
        name = self._constant_name(service, method)
        return [
            "",
            f"{name}: Method[{self._qualify(request)}, {self._qualify(shown)}] = Method(",
            f'    name="{method.full_name}",',
            f"    kind=Kind.{method.kind},",
            f"    idempotency=Idempotency.{method.idempotency},",
            f'    request_class=message_class("{method.request}"),',
            f'    response_class=message_class("{method.response}"),',
            f"    encode={self._type(method.request, 'encode_')},",
            f"    decode={decode},",
            ")",
        ]

    def _constant_name(self, service: Service, method: Method) -> str:
        return f"{snake_case(service.name)}_{snake_case(method.name)}".upper()

    def _type(self, full_name: str, prefix: str = "") -> str:
        message = self._model.messages[full_name]
        return f"{self._model.modules[full_name]}.{prefix}{message.python_name}"

    def _qualify(self, annotation: str) -> str:
        """Puts the module before a type of this writer's own module."""
        head, bracket, tail = annotation.partition("[")
        if bracket and head in {"Sequence", "Mapping", "tuple"}:
            return f"{head}[{self._qualify(tail)}"
        bare = annotation.removesuffix("]").split(",")[0].split(" ")[0]
        own = {
            known.python_name
            for table in (self._model.enums, self._model.messages)
            for name, known in table.items()
            if self._model.modules[name] == self._module
        }
        return f"{self._module}.{annotation}" if bare in own else annotation

    def _unwrapped(self, method: Method) -> Field | None:
        """The only field of a unary answer when that is one message: callers get it itself."""
        fields = self._model.messages[method.response].fields
        if method.kind != "UNARY" or len(fields) != 1:
            return None
        return fields[0] if fields[0].kind == "message" and not fields[0].is_repeated else None

    def _service(self, service: Service, *, is_async: bool) -> list[str]:
        prefix = "Async" if is_async else ""
        lines = ["", "", f"class {prefix}{service.name}:", *docstring(service.comment, "    "), ""]
        lines += ['    __slots__ = ("_caller",)', ""]
        lines += [f"    def __init__(self, caller: {prefix}Caller) -> None:"]
        lines += ["        self._caller = caller"]
        for method in service.methods:
            lines += self._method(service, method, is_async=is_async)
            lines += self._pager(method, is_async=is_async)
        return lines

    def _parameters(self, message: Message, skipped: tuple[str, ...] = ()) -> list[str]:
        lines = []
        for field in message.fields:
            if field.name in _RESERVED:
                raise ValueError(f"{message.full_name}.{field.name} is a parameter of every call")
            if field.name in skipped:
                continue
            annotation = self._qualify(self._types.annotation(field, is_parameter=True))
            default = self._qualify_default(self._types.parameter_default(field))
            if default == "None" and not annotation.endswith("| None"):
                annotation += " | None"
            lines.append(f"        {field.python_name}: {annotation} = {default},")
        return lines

    def _qualify_default(self, default: str) -> str:
        name, dot, member = default.partition(".")
        return self._qualify(name) + dot + member

    def _request(self, message: Message, request: str) -> list[str]:
        if not message.fields:
            return [f"        request = {request}()"]
        lines = [f"        request = {request}("]
        for field in message.fields:
            if field.is_repeated:
                lines.append(f"            {field.python_name}=tuple({field.python_name}),")
            elif not field.has_presence and field.kind in _NO_PRESENCE:
                raise ValueError(f"{message.full_name}.{field.name} must be optional in a request")
            else:
                lines.append(f"            {field.python_name}={field.python_name},")
        return [*lines, "        )"]

    def _method(self, service: Service, method: Method, *, is_async: bool) -> list[str]:
        request_message = self._model.messages[method.request]
        request = self._type(method.request)
        constant = self._constant_name(service, method)
        prefix = "Async" if is_async else ""
        name = snake_case(method.name)
        unwrapped = self._unwrapped(method)
        response = self._type(method.response)
        shown = self._qualify(self._types.annotation(unwrapped)) if unwrapped else response
        is_streamed = method.kind in {"CLIENT_STREAMING", "BIDIRECTIONAL"}
        keyword = "async def" if is_async and method.kind == "UNARY" else "def"
        lines = ["", f"    {keyword} {name}(", "        self,", "        *,"]
        lines += [] if is_streamed else self._parameters(request_message)
        lines.append("        timeout_seconds: float | None = None,")
        is_keyed = method.kind == "UNARY" and method.idempotency == "KEYED"
        lines += ["        idempotency_key: str | None = None,"] if is_keyed else []
        returned = {
            "UNARY": shown,
            "SERVER_STREAMING": f"{prefix}MessageStream[{response}]",
            "CLIENT_STREAMING": f"{prefix}ClientStreamingCall[{request}, {response}]",
            "BIDIRECTIONAL": f"{prefix}BidirectionalCall[{request}, {response}]",
        }[method.kind]
        lines += [f"    ) -> {returned}:"]
        lines += docstring(
            method.comment, "        ", more=_parameters_text(request_message, is_streamed)
        )
        lines += [] if is_streamed else self._request(request_message, request)
        head = "return await" if keyword.startswith("async") else "return"
        verb = {
            "UNARY": "unary",
            "SERVER_STREAMING": "server_streaming",
            "CLIENT_STREAMING": "client_streaming",
            "BIDIRECTIONAL": "bidirectional",
        }[method.kind]
        arguments = [constant] + ([] if is_streamed else ["request"]) + ["timeout_seconds"]
        if method.kind == "UNARY":
            arguments.append("idempotency_key" if is_keyed else "None")
        lines.append(f"        {head} self._caller.{verb}({', '.join(arguments)})")
        return lines

    def _pager(self, method: Method, *, is_async: bool) -> list[str]:
        """For a listing: a method that walks over all its pages."""
        request = self._model.messages[method.request]
        response = self._model.messages[method.response]
        items = [f for f in response.fields if f.is_repeated]
        names = {f.name for f in request.fields}
        is_listing = "page_token" in names and len(items) == 1 and method.kind == "UNARY"
        if not is_listing or not method.name.startswith("List"):
            return []
        item = self._qualify(self._types.annotation(items[0]))
        item = item.removeprefix("tuple[").removesuffix(", ...]")
        name = snake_case(method.name)
        kind = "AsyncIterator" if is_async else "Iterator"
        keyword, wait = ("async def", "await ") if is_async else ("def", "")
        lines = ["", f"    {keyword} iterate_{name.removeprefix('list_')}(", "        self,"]
        lines += ["        *,", *self._parameters(request, ("page_token",))]
        lines += ["        timeout_seconds: float | None = None,", f"    ) -> {kind}[{item}]:"]
        lines += docstring(f"Walks over every page of `{name}`.", "        ")
        lines += ['        page_token = ""', "        while True:"]
        lines += [f"            page = {wait}self.{name}("]
        lines += [f"                {f.python_name}={f.python_name}," for f in request.fields]
        lines += ["                timeout_seconds=timeout_seconds,", "            )"]
        lines += [f"            for item in page.{items[0].python_name}:"]
        lines += ["                yield item"]
        lines += ["            page_token = page.next_page_token"]
        lines += ["            if not page_token:", "                return"]
        return lines


def _parameters_text(message: Message, is_streamed: bool) -> tuple[str, ...]:  # noqa: FBT001
    if is_streamed or not message.fields:
        return ()
    return tuple(f"`{field.python_name}`: {field.comment}" for field in message.fields)
