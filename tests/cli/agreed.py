"""What labctl prints for programs, held to the schema that it publishes for it."""

from __future__ import annotations

from functools import cache

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own

from lab.cli import schemas

# Rows in which a run's own metrics stand beside the lab's keys, by any name.
OPEN = {"RunRow"}


def check(document: dict[str, object]) -> None:
    """Refuse a document that its schema does not describe: a key that is missing, of another type, or not told of."""
    name = str(document["schema"])
    validator = _strict(name)
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
    assert not errors, (
        name,
        errors,
        [e.message[:300] for each in validator.iter_errors(document) for e in each.context],
    )


@cache
def _strict(name: str) -> jsonschema.Draft202012Validator:
    """Published schemas are open, for a later labctl may say more; this labctl may not say what they do not tell of."""
    schema = closed(schemas.named(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def closed(schema: object) -> object:
    """The same schema, in which a record may have no key that is not told of."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    is_record = isinstance(found.get("properties"), dict) and found.get("type") == "object"
    if is_record and found.get("title") not in OPEN:
        found.setdefault("additionalProperties", False)
    return found
