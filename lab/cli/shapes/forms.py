"""JSON Schemas of what people and programs write by hand. More lenient than their readers, which know every rule."""

from __future__ import annotations

from lab.core.order import ALIASES, INTENTS

_SCALAR: dict[str, object] = {"type": ["string", "number", "boolean", "null"]}


def search_space() -> dict[str, object]:
    """search_space.json, and `search_space:` of a SPEC: a map of parameters, or that and constraints."""
    numbers = {name: {"type": "number"} for name in ("low", "high", "step")}
    kinds = ["float", "int", "integer", "choice", "choices", "categorical", "bool", "boolean", "fixed"]
    parameter: dict[str, object] = {
        "type": "object",
        "properties": {
            "type": {"enum": kinds, "description": "float, where nothing else is said"},
            **numbers,
            "log": {"type": "boolean", "description": "equal shares for equal ratios; needs low above 0"},
            "choices": {"type": "array", "minItems": 1, "items": _SCALAR},
            "value": {**_SCALAR, "description": "always this"},
            "when": {"type": "object", "description": "it counts only where the parameter named has one of these"},
            "default": {**_SCALAR, "description": "what the program does today"},
        },
        "additionalProperties": False,
        "anyOf": [
            {"required": ["low", "high"]},
            {"required": ["choices"]},
            {"required": ["value"]},
            {"required": ["type"], "properties": {"type": {"enum": ["bool", "boolean"]}}},
        ],
    }
    plain = {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/parameter"}}
    whole = {
        "type": "object",
        "required": ["parameters"],
        "properties": {
            "parameters": plain,
            "constraints": {"type": ["array", "string"], "items": {"type": "string"}},
        },
        "additionalProperties": False,
    }
    return {"anyOf": [whole, plain], "$defs": {"parameter": parameter}}


def order() -> dict[str, object]:
    """A file in control/inbox. Other keys at the top are let pass; under `parameters` each intent knows its own."""
    text = {"type": "string", "maxLength": 200}
    known = "; ".join(f"{name}: {', '.join((*each.needs, *each.takes)) or 'none'}" for name, each in INTENTS.items())
    return {
        "type": "object",
        "required": ["intent"],
        "properties": {
            "intent": {"enum": [*INTENTS, *ALIASES]},
            "target": {**text, "description": "an experiment, a proposal, a run or a day, as the intent wants it"},
            "parameters": {"type": ["object", "null"], "description": known},
            "idempotency_key": {**text, "description": "the same key is never carried out twice"},
            "command_id": text,
            "actor": text,
        },
    }
