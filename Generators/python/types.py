"""Writes one module a package: enums, dataclasses and the codecs between them and protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.python.text import docstring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from Generators.python.model import Enumeration, Field, Message, Model

_DEFAULTS = {"int": "0", "float": "0.0", "bool": "False", "str": '""', "bytes": 'b""'}


class TypesWriter:
    """Writes the types of one module."""

    def __init__(self, model: Model, module: str) -> None:
        """Chooses what belongs to the module, and which codecs its methods need."""
        self._model = model
        self._module = module
        self._decoded = _reachable(model, [m.response for s in model.services for m in s.methods])
        self._encoded = _reachable(model, [m.request for s in model.services for m in s.methods])

    def write(self) -> str:
        """Returns the module's text, less its header."""
        enums = [e for n, e in self._model.enums.items() if self._own(n)]
        messages = [m for n, m in self._model.messages.items() if self._own(n)]
        messages = [m for m in messages if m.full_name in self._decoded | self._encoded]
        body: list[str] = []
        for enum in enums:
            body += self._enum(enum)
        for message in messages:
            body += self._dataclass(message)
        for message in messages:
            if message.full_name in self._decoded:
                body += self._decoder(message)
            if message.full_name in self._encoded:
                body += self._encoder(message)
        names = sorted([e.python_name for e in enums] + [m.python_name for m in messages])
        return "\n".join([*self._imports("\n".join(body)), "", *_all(names), *body, ""])

    def _imports(self, body: str) -> list[str]:
        others = sorted(
            {
                module
                for name, module in self._model.modules.items()
                if module != self._module and f"{module}." in body and self._used(name, body)
            }
        )
        lines = ["from __future__ import annotations", ""]
        if "@dataclasses" in body:
            lines.append("import dataclasses")
        if "datetime.datetime" in body:
            lines.append("import datetime")
        lines += ["import enum"] if "enum.Enum" in body else []
        lines += ["from collections.abc import Mapping"] if "Mapping[" in body else []
        lines += ["from typing import Any"] if "message: Any" in body else []
        lines.append("")
        if others:
            lines.append(f"from needletail._generated import {', '.join(others)}")
        codecs = [n for n in ("EPOCH", "OpenEnum", "decode_time", "encode_time") if n in body]
        lines += [f"from needletail._values import {', '.join(codecs)}"] if codecs else []
        return lines

    def _used(self, name: str, body: str) -> bool:
        python_name = self._name(name)
        return f"{python_name.rsplit('.', 1)[-1]}" in body

    def _own(self, full_name: str) -> bool:
        return self._model.modules[full_name] == self._module

    def _name(self, full_name: str, prefix: str = "") -> str:
        """The Python name of a type as seen from this module."""
        known = self._model.enums.get(full_name) or self._model.messages[full_name]
        module = self._model.modules[full_name]
        name = prefix + known.python_name
        return name if module == self._module else f"{module}.{name}"

    def _enum(self, enum: Enumeration) -> list[str]:
        if enum.is_reasons:
            lines = ["", "", f"class {enum.python_name}(str, enum.Enum):"]
        else:
            lines = ["", "", f"class {enum.python_name}(OpenEnum):"]
        lines += docstring(enum.comment, "    ")
        for name, number, comment in enum.values:
            if enum.is_reasons and number == 0:
                continue
            lines += ["", f"    {name} = " + (f'"{name}"' if enum.is_reasons else str(number))]
            lines += docstring(comment, "    ")
        return lines

    def _dataclass(self, message: Message) -> list[str]:
        lines = ["", "", "@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)"]
        lines += [f"class {message.python_name}:", *docstring(message.comment, "    ")]
        for field in message.fields:
            annotation, default = self.annotation(field), self._default(field)
            lines += ["", f"    {field.python_name}: {annotation} = {default}"]
            lines += docstring(field.comment, "    ")
        return lines

    def annotation(self, field: Field, *, is_parameter: bool = False) -> str:
        """The type of a field, as an attribute or as a parameter."""
        single = self._single(field)
        if field.is_repeated:
            return f"Sequence[{single}]" if is_parameter else f"tuple[{single}, ...]"
        return f"{single} | None" if field.has_presence else single

    def _single(self, field: Field) -> str:
        if field.kind in {"message", "enum"}:
            return self._name(field.type_name)
        if field.kind == "timestamp":
            return "datetime.datetime"
        if field.kind == "map":
            return f"Mapping[{field.type_name}]"
        return field.kind

    def _default(self, field: Field) -> str:
        if field.is_repeated:
            return "()"
        if field.has_presence:
            return "None"
        return self._single_default(field)

    def _single_default(self, field: Field) -> str:
        if field.kind == "enum":
            first = self._model.enums[field.type_name].values[0][0]
            return f"{self._name(field.type_name)}.{first}"
        if field.kind == "message":
            return f"dataclasses.field(default_factory=lambda: {self._name(field.type_name)}())"
        if field.kind == "timestamp":
            return "EPOCH"
        if field.kind == "map":
            return "dataclasses.field(default_factory=dict)"
        return _DEFAULTS[field.kind]

    def parameter_default(self, field: Field) -> str:
        """The default of a field as a parameter; constants only."""
        if field.is_repeated:
            return "()"
        if field.has_presence or field.kind in {"message", "map", "timestamp"}:
            return "None"
        return self._single_default(field)

    def _decoder(self, message: Message) -> list[str]:
        name = message.python_name
        lines = ["", "", f"def decode_{name}(message: Any) -> {name}:"]
        if not message.fields:
            return [*lines, "    del message", f"    return {name}()"]
        lines.append(f"    return {name}(")
        lines += [f"        {f.python_name}={self._decoded_value(f)}," for f in message.fields]
        return [*lines, "    )"]

    def _decoded_value(self, field: Field) -> str:
        source = field.of("message")
        if field.is_repeated:
            if field.kind in {"message", "enum", "timestamp"}:
                return f"tuple({self._decode_one(field, 'item')} for item in {source})"
            return f"tuple({source})"
        value = self._decode_one(field, source)
        if field.has_presence:
            return f'{value} if message.HasField("{field.name}") else None'
        return value

    def _decode_one(self, field: Field, source: str) -> str:
        if field.kind == "message":
            return f"{self._name(field.type_name, 'decode_')}({source})"
        if field.kind == "enum":
            return f"{self._name(field.type_name)}({source})"
        if field.kind == "timestamp":
            return f"decode_time({source})"
        return f"dict({source})" if field.kind == "map" else source

    def _encoder(self, message: Message) -> list[str]:
        name = message.python_name
        lines = ["", "", f"def encode_{name}(value: {name}, message: Any) -> None:"]
        if not message.fields:
            return [*lines, "    del value, message"]
        for field in message.fields:
            lines += [f"    {line}" for line in self._encoded_lines(field)]
        return lines

    def _encoded_lines(self, field: Field) -> Iterator[str]:
        source, target = f"value.{field.python_name}", field.of("message")
        if field.is_repeated:
            if field.kind in {"message", "timestamp"}:
                # A name of its own: loops over several types in one function would share it.
                item = f"{field.python_name}_item"
                yield f"for {item} in {source}:"
                yield f"    {self._encode_one(field, item, f'{target}.add()')}"
            else:
                yield f"{target}.extend({source})"
        elif field.kind == "map":
            yield f"{target}.update({source})"
        elif field.has_presence:
            yield f"if {source} is not None:"
            yield f"    {self._encode_one(field, source, target)}"
            if field.kind == "message":
                yield f"    {target}.SetInParent()"
        else:
            yield self._encode_one(field, source, target)

    def _encode_one(self, field: Field, source: str, target: str) -> str:
        if field.kind == "message":
            return f"{self._name(field.type_name, 'encode_')}({source}, {target})"
        if field.kind == "timestamp":
            return f"encode_time({source}, {target})"
        return field.assignment("message", source)


def _all(names: list[str]) -> list[str]:
    return ["__all__ = [", *(f'    "{name}",' for name in names), "]"]


def _reachable(model: Model, roots: list[str]) -> set[str]:
    """The messages that are roots or fields of reachable messages."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in model.messages:
            continue
        found.add(name)
        waiting += [f.type_name for f in model.messages[name].fields if f.kind == "message"]
    return found
