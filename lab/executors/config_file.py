"""The parameters of a run in a program's own config file: JSON, YAML or TOML, bytes to bytes. Pure.

Which value a name stands for. `optim.lr` is a path. A plain name is the top-level key, else the first section that has
the key, searched depth first, else a new top-level key. A section or a list is never replaced by a value. Comments,
quotes and layout of the file are not kept: it is a copy that no person edits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    Section = MutableMapping[str, object]

KINDS = (".json", ".yaml", ".yml", ".toml")
_JSON, _TOML = ".json", ".toml"
_SHOWN_CHARS = 80


def is_config(name: str) -> bool:
    """Whether a file of this name can hold parameters."""
    return _kind(name) in KINDS


def merged(name: str, data: bytes, params: Mapping[str, object]) -> bytes:
    """The config file with these parameters in it. `BadInput` when it cannot be read, or has no place for one."""
    document = _read(name, data)
    for param, value in params.items():
        _put(document, param, value, name)
    return _written(name, document)


def spread(files: Mapping[str, bytes], params: Mapping[str, object]) -> dict[str, bytes]:
    """Several config files with these parameters in them; those into which none went are left out.

    A parameter goes into each file that has it, else into the first that has its section, else into the first.
    """
    documents = {name: _read(name, data) for name, data in files.items()}
    touched: list[str] = []
    for param, value in params.items():
        head = param.rpartition(".")[0]
        having = [name for name, document in documents.items() if _holder(document, param) is not None]
        if not having and head:
            having = [name for name, document in documents.items() if _section(document, head) is not None][:1]
        for name in having or list(documents)[:1]:
            _put(documents[name], param, value, name)
            touched.append(name)
    return {name: _written(name, documents[name]) for name in documents if name in touched}


def _kind(name: str) -> str:
    base = name.rpartition("/")[2].lower()
    return f".{base.rpartition('.')[2]}" if "." in base else ""


# -- where a parameter lives -----------------------------------------------------------------------------------------


def _put(document: Section, param: str, value: object, name: str) -> None:
    section, key = _holder(document, param) or _new_place(document, param, name)
    _set(section, key, value, param, name)


def _set(section: Section, key: str, value: object, param: str, name: str) -> None:
    there = section.get(key)
    if isinstance(value, dict) and isinstance(there, dict):
        for inner, each in value.items():
            _set(there, inner, each, f"{param}.{inner}", name)
    elif _is_nest(there) and not _is_nest(value):
        what, fix = "a list", f"name an entry, as in `{param}.0.name`, or rename the parameter"
        if isinstance(there, dict):
            what, fix = "a section", f"name the value in it, as in `{param}.name`"
        raise BadInput(f"{param[:_SHOWN_CHARS]} is {what} in {name}, which one value cannot replace", fix=fix)
    elif value is None and _kind(name) == _TOML:
        section.pop(key, None)  # TOML has no null: left out is what says it
    else:
        section[key] = value


def _holder(document: Section, param: str) -> tuple[Section, str] | None:
    """The section that has a value of this name, and its key there; None where the file has none."""
    if param in document and not _is_nest(document[param]):
        return document, param
    head, dot, key = param.rpartition(".")
    if dot:
        section = _section(document, head)
    else:
        section = next((each for each in _sections(document) if key in each and not _is_nest(each[key])), None)
    if section is None or key not in section or _is_nest(section[key]):
        return None
    return section, key


def _is_nest(value: object) -> bool:
    return isinstance(value, (dict, list))


def _section(document: Section, path: str) -> Section | None:
    here: object = document
    for part in path.split("."):
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here if isinstance(here, dict) else None


def _sections(document: Section) -> Iterator[Section]:
    """All sections, depth first, in the order of the file; each once, for YAML can name one twice or inside itself."""
    seen: set[int] = set()
    waiting: list[Section] = [document]
    while waiting:
        here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        waiting += [each for each in reversed(list(here.values())) if isinstance(each, dict)]


def _new_place(document: Section, param: str, name: str) -> tuple[Section, str]:
    """Where a parameter goes that the file does not have: its sections are made."""
    *heads, key = param.split(".")
    if not all((*heads, key)):  # `a..b` and `.a` are no path
        return document, param
    here: object = document
    for part in heads:
        if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        elif isinstance(here, dict):
            if here.get(part) is None:
                here[part] = {}
            here = here[part]
        else:
            here = None
    if not isinstance(here, dict):
        fix = "correct the path, or the name of the parameter"
        raise BadInput(f"{param[:_SHOWN_CHARS]} leads through something in {name} that is no section", fix=fix)
    return here, key


# -- bytes -----------------------------------------------------------------------------------------------------------


def _read(name: str, data: bytes) -> Section:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        raise BadInput(f"{name} is not UTF-8: {trouble.reason}", fix="save it as UTF-8") from None
    try:
        found = {_JSON: _from_json, _TOML: _from_toml}.get(_kind(name), _from_yaml)(text)
    except (ValueError, OverflowError, RecursionError) as trouble:
        why = " ".join(str(trouble).split())[:200] or type(trouble).__name__
        raise BadInput(f"{name} cannot be read: {why}", fix="mend the file; nothing was written to it") from None
    if not isinstance(found, dict):
        raise BadInput(f"{name} holds no `key: value` pairs, so that no parameter can go into it", fix="make it a map")
    return found


def _from_json(text: str) -> object:
    import json  # noqa: PLC0415  # only where a run's parameters go into such a file

    return json.loads(text)


def _from_toml(text: str) -> object:
    import tomllib  # noqa: PLC0415  # the same

    return tomllib.loads(text)


def _from_yaml(text: str) -> object:
    """What YAML 1.1 says, as the program's own reader will: `spec_text` is stricter, and its file is ours."""
    import yaml  # noqa: PLC0415  # the same

    loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(text, Loader=loader)  # noqa: S506  # both are safe loaders
    except yaml.YAMLError as trouble:
        raise ValueError(str(trouble)) from None
    except (LookupError, AttributeError, TypeError):  # what PyYAML stumbles over where a tag does not fit: !!int ""
        raise ValueError("a value is not what its tag says") from None
    return {} if found is None else found


def _written(name: str, document: Section) -> bytes:
    try:
        text = {_JSON: _to_json, _TOML: _to_toml}.get(_kind(name), _to_yaml)(document)
        return text.encode()
    except (ValueError, TypeError, RecursionError) as trouble:
        raise BadInput(f"the parameters cannot be written into {name}: {trouble}", fix="use plain values") from None


def _to_json(document: Section) -> str:
    import json  # noqa: PLC0415  # the same

    return json.dumps(document, indent=2) + "\n"


def _to_toml(document: Section) -> str:
    import tomlkit  # noqa: PLC0415  # a tenth of a second: only for a run with a TOML file

    return tomlkit.dumps(document)


def _to_yaml(document: Section) -> str:
    import yaml  # noqa: PLC0415  # the same

    dumper: type[yaml.SafeDumper | yaml.CSafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        return yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
    except yaml.YAMLError as trouble:
        raise ValueError(str(trouble)) from None
