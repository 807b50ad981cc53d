"""Whether the arguments of a call are those that its tool announced.

Only the part of JSON Schema that our own tools use: a word of it that is not known here fails loudly, at the first
call. What passes can be put on a command line: text is UTF-8 without NUL, and short.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN = {
    "type", "properties", "required", "additionalProperties", "description", "default", "enum", "minimum", "maximum",
    "minLength", "maxLength", "pattern",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def fault(schema: Mapping[str, object], value: object, name: str = "arguments") -> str:
    """The first thing that is wrong, in words for whoever called; an empty text when nothing is."""
    unknown = set(schema) - _KNOWN
    if unknown:
        message = f"{name}: this check does not know {sorted(unknown)}"
        raise NotImplementedError(message)
    wanted = str(schema["type"])
    if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        return f"{name} must be of the type {wanted}"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"{name} must be one of {', '.join(map(str, choices))}"
    if isinstance(value, dict):
        return _object_fault(schema, value, name)
    if isinstance(value, str):
        return _text_fault(schema, value, name)
    return _number_fault(schema, value, name)


def _object_fault(schema: Mapping[str, object], value: Mapping[str, object], name: str) -> str:
    properties = schema.get("properties")
    inside = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    missing = [each for each in required if each not in value] if isinstance(required, list) else []
    if missing:
        return f"{name} lacks {', '.join(missing)}"
    if schema.get("additionalProperties") is False:
        unknown = sorted(set(value) - set(inside))
        if unknown:
            known = ", ".join(inside) or "none"
            return f"{name} has no place for {unknown[0][:80]!a}; known: {known}"
    for key in inside:
        found = fault(inside[key], value[key], key) if key in value else ""
        if found:
            return found
    return ""


def _text_fault(schema: Mapping[str, object], value: str, name: str) -> str:
    least, most, pattern = schema.get("minLength", 0), schema.get("maxLength", 2000), schema.get("pattern")
    if not (isinstance(least, int) and isinstance(most, int) and least <= len(value) <= most):
        return f"{name} must have between {least} and {most} characters"
    if "\x00" in value or not _is_utf8(value):
        return f"{name} must be text in UTF-8, without NUL"
    if isinstance(pattern, str):
        import re  # noqa: PLC0415  # at the first call, not at the start

        if not re.fullmatch(pattern, value):  # the patterns of our tools are anchored at both ends
            about = f" ({schema['description']})" if "description" in schema else ""
            return f"{name} {value[:80]!a} cannot be used; it must match {pattern}{about}"
    return ""


def _number_fault(schema: Mapping[str, object], value: object, name: str) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float):
        if isinstance(least, int | float) and not value >= least:
            return f"{name} must be {least} or more"
        if isinstance(most, int | float) and not value <= most:
            return f"{name} must be {most} or less"
    return ""


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
