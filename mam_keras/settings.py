"""Typed, immutable sections and how they are read: plain values from YAML, checked, each mistake told in one line.

Knows no section of its own: which there are says `config`. Imports neither TensorFlow nor Keras.
"""

import datetime
import difflib
import importlib
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pydantic
import yaml
from pydantic import Field, PlainValidator, SerializeAsAny
from pydantic_core import PydanticCustomError

from mam_keras.errors import UserError

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also of a folder

MOST, DEEPEST = 100_000, 100  # values in a YAML file, and their levels


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


@dataclass(frozen=True)
class Registry:
    """Kinds of one thing, each a module whose `Settings` are its section; a key of the section says which it is.

    Attributes:
        key: as "system".
        modules: {name: module}.
        default: the name where the key is left out; None where it must not be.
    """

    key: str
    modules: dict[str, str]
    default: str | None = None

    def module(self, name: str) -> types.ModuleType:
        return importlib.import_module(self.modules[name])

    def settings(self, values: Any) -> type[Section]:
        """The section of plain values, or of a section."""
        name = (
            values.get(self.key, self.default) if isinstance(values, dict) else getattr(values, self.key, self.default)
        )
        if name not in self.modules:
            raise PydanticCustomError(
                "unknown_kind",
                "{key}: expected one of {names}. Received: {received}",
                {
                    "key": self.key,
                    "names": ", ".join(self.modules),
                    "received": "nothing" if name is None else repr(name),
                },
            )
        return self.module(name).Settings


@dataclass(frozen=True)
class _Chosen:
    """Marks a field whose section depends on values: `find(own values, those beside it)` gives the section."""

    find: Callable


def chosen(find: Callable[[Any, dict], type[Section]]) -> Any:
    """The type of a field whose section is `find(own values, sections beside it that were checked before)`."""

    def validate(value, info):
        return value if isinstance(value, Section) else find(value, info.data).model_validate(value)

    return Annotated[SerializeAsAny[Section], PlainValidator(validate), _Chosen(find)]


def one_of(registry: Registry) -> Any:
    """The type of a field that is a section of a registry."""
    return chosen(lambda own, _: registry.settings(own))


def read(path: str | Path) -> dict[str, Any]:
    """Plain values of a YAML file that holds a mapping; raises `UserError` for any other."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(f"{path}: expected a readable YAML file. Received: {reason}") from None
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping of sections. Received: {type(values).__name__}")
    return values


def check(values: dict[str, Any], where: str, section: type[Section]) -> Section:
    """Checks plain values, as YAML gives them; `where` opens the message of the `UserError` that refuses them."""
    try:
        return section.model_validate(_tuples(values))
    except pydantic.ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        message = _explain(first, section, values) + (f" (and {more} more)" if more else "")
        raise UserError(f"{where}: {message}") from None


def assignment(override: str) -> tuple[str, Any]:
    """The key and the value of `section.key=value`; raises `UserError` for any other text."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip() or key.count(".") > DEEPEST:
        raise UserError(f"--set: expected section.key=value. Received: {override!r}")
    return key.strip(), _parse(text, f"--set {override}")


def put(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Sets `section.key` in plain values; `where` opens the message of the `UserError` where a section is none."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected '{section}' to be a section, but it is a single value")
    values[last] = value


def to_yaml(values: dict[str, Any]) -> str:
    """Plain values as text that `read` reads back to equal ones."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def flow(value: Any) -> str:
    """A plain value as YAML in one line."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=float("inf"))
    return text.strip().removesuffix("...").strip()


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, where `1e-5` is a number, `on` and `off` are texts, and a key given twice is an error.

    What is written with aliases is counted as if it were written out, before it is: no text costs more than its size.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own class attribute)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text):
        super().__init__(text)
        self._depth, self._count, self._counts = 0, 0, {}  # values so far; those that an anchor stands for

    def compose_node(self, parent, index):
        event, before = self.peek_event(), self._count
        alias = isinstance(event, yaml.AliasEvent)
        if alias and event.anchor in self.anchors and event.anchor not in self._counts:
            raise yaml.MarkedYAMLError(problem="an alias within what it stands for", problem_mark=event.start_mark)
        self._depth, self._count = self._depth + 1, before + self._counts.get(alias and event.anchor, 1)
        if self._depth > DEEPEST or self._count > MOST:
            problem = f"more than {DEEPEST} levels, or {MOST:,} values with those of aliases"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if not alias and event.anchor:
            self._counts[event.anchor] = self._count - before
        return node

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' stands twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes what any loader or ours would not read as the text that it is."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except (yaml.YAMLError, TypeError, ValueError, LookupError, AttributeError) as error:  # of `!!int x` and its kind
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{where}{line}: expected YAML. Received: {problem}") from None


def _tuples(value: Any) -> Any:
    """YAML's lists as tuples, which is what immutable sections hold."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(error: dict, section: type[Section], values: Any) -> str:
    """One of pydantic's errors as `key: expected ... Received: ...`."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "unknown_kind":
        return f"{key}.{error['msg']}"
    if error["type"] == "extra_forbidden":
        known = _known_keys(section, location[:-1], values, {})
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}."
        return f"{key}: unknown key; {hint} Received: {_shown(error['input'])}"
    if error["type"] == "missing":
        return f"{key}: expected a value; this key is required and was not given. Received: nothing"
    expected = re.sub(r"^(Input|Value|String) should (be|match) ?", "", error["msg"])
    expected = re.sub(r"^\w+ should have (at \w+ \d+) items? after validation, not .*", r"\1 of them", expected)
    if error["type"] == "string_type" and isinstance(error["input"], (bool, int, float, datetime.date)):
        expected += ", in quotes where YAML would read another kind of value"
    return f"{key}: expected {expected}. Received: {_shown(error['input'])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _known_keys(annotation: Any, location: list[str], values: Any, beside: Any) -> list[str]:
    """Keys of the section that a location leads to, through sections, mappings, tuples and unions.

    `values` are what was read for it, `beside` what was read beside it.
    """
    union = get_origin(annotation) in (Union, types.UnionType)
    for option in get_args(annotation) if union else (annotation,):
        if isinstance(option, _Chosen):
            option = option.find(values, beside)
        fields, origin = getattr(option, "model_fields", {}), get_origin(option)
        if fields and not location:
            return [field.alias or name for name, field in fields.items()]
        if fields:
            field = next(field for name, field in fields.items() if location[0] in (name, field.alias))
            chosen = next((mark for mark in field.metadata if isinstance(mark, _Chosen)), field.annotation)
            inner = values.get(location[0]) if isinstance(values, dict) else None
            return _known_keys(chosen, location[1:], inner or {}, values)
        if origin in (dict, tuple):
            inner = values[location[0] if origin is dict else int(location[0])]
            return _known_keys(get_args(option)[1 if origin is dict else 0], location[1:], inner, values)
    return []


def difference(there, here):
    """The first dotted key in which two configurations differ, and both values."""
    there, here = (flat(c.model_dump(mode="json", by_alias=True)) for c in (there, here))
    key = next(k for k in {**there, **here} if there.get(k) != here.get(k))
    return key, there.get(key), here.get(key)


def flat(values, prefix=""):
    """{dotted key: value} of plain values."""
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
