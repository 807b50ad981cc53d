"""What a paper's source may say: text, values of sealed runs, loops over them, conditions on them, and nothing else.

jinja2 in its sandbox, of which only a part is let in. A template that cannot compute, build a text in steps, call a
method or define anything can neither run away nor make up a number; what it prints comes from a file or stands in it.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.projections import text
from lab.research.paper import forms, traced
from lab.research.paper.claim import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_SOURCE, MOST_TEXT = 256 << 10, 4 << 20
LIMIT_S = 20.0
FUNCTIONS = ("run", "source", "cite", "count", "difference", "ratio", "change", "figure", "references")
FILTERS = ("fmt", "si", "pct", "duration", "code", "pairs")
TESTS = ("none", "defined", "undefined", "true", "false")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_DEPTH = 3  # of loops in loops
_PLAIN = (
    "Template", "Output", "TemplateData", "Name", "Const", "Getattr", "Getitem", "Call", "Filter", "Test", "For", "If",
    "CondExpr", "And", "Or", "Not", "Compare", "Operand", "Assign", "Keyword", "Neg", "List", "Tuple",
)  # fmt: skip
_FIX = "print values as they are, {{ evaluation.gain | fmt('.4f') }}; loop with {% for %}, choose with {% if %}"


def rendered(source: str, names: Mapping[str, object]) -> str:
    """The text with its marks still in it. `BadInput` with the line for whatever the language does not have."""
    import jinja2  # noqa: PLC0415  # 45 ms, and a command that writes no paper has no use for it

    if len(source.encode(errors="replace")) > MOST_SOURCE:
        raise BadInput(f"the source of a paper is larger than {MOST_SOURCE >> 10} KB", where=SOURCE)
    if source != source.translate(traced.MARKS) or text.UNSEEN.search(source):
        raise BadInput("there are invisible characters in it", where=SOURCE, fix="write it in plain text")
    environment = _environment()
    try:
        template = environment.template_class.from_code(
            environment, _compiled(source), environment.make_globals(dict(names))
        )
        pieces, size = [], 0
        for piece in template.generate():
            size += len(piece)
            if size > MOST_TEXT:
                raise BadInput(f"the paper is larger than {MOST_TEXT >> 20} MB", where=SOURCE)
            pieces.append(piece)
    except jinja2.TemplateSyntaxError as wrong:
        raise BadInput(str(wrong.message), where=f"{SOURCE} line {wrong.lineno}", fix=_FIX) from None
    except RecursionError:
        raise BadInput("it nests too deeply", where=SOURCE) from None
    except LabError as wrong:
        raise _placed(wrong, wrong.__traceback__) from None
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        ArithmeticError,
    ) as wrong:
        refusal = BadInput(f"this cannot be said: {text.line(str(wrong))}", fix=_FIX)
        raise _placed(refusal, wrong.__traceback__) from None
    return "".join(pieces).replace("\r\n", "\n")


def _placed(wrong: LabError, trace: object) -> LabError:
    """With the line of the source that it comes from, where it does not name another file."""
    line = 0
    while trace is not None:
        frame = getattr(trace, "tb_frame", None)
        if frame is not None and frame.f_code.co_filename == SOURCE:
            line = getattr(trace, "tb_lineno", 0)
        trace = getattr(trace, "tb_next", None)
    if not line:
        return wrong
    where = f"{SOURCE} line {line}" + (f", from {wrong.where}" if wrong.where else "")
    return type(wrong)(wrong.what, where=where, fix=wrong.fix)


@lru_cache(maxsize=4)
def _compiled(source: str) -> CodeType:
    """What may be run of it. A paper is made twice: to write it, and to look whether it comes out the same."""
    environment = _environment()
    tree = environment.parse(source, SOURCE, SOURCE)
    _check(tree)
    return environment.compile(tree, SOURCE, SOURCE)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    import jinja2  # noqa: PLC0415  # as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415  # as above

    made = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printed,
        optimized=False,  # else a constant is folded, and printed, before anybody may look
        cache_size=0,
    )
    made.globals.clear()
    made.filters = {"fmt": _fmt, "si": _si, "pct": _pct, "duration": _duration, "code": _code, "pairs": _pairs}
    made.tests = {name: made.tests[name] for name in TESTS}
    return made


def _check(tree: nodes.Template) -> None:
    """Refuse what is not of the language."""
    from jinja2 import nodes as kinds  # noqa: PLC0415  # as above

    known = tuple(getattr(kinds, name) for name in _PLAIN)

    def look(node: nodes.Node, depth: int) -> None:
        wrong = "" if isinstance(node, known) else type(node).__name__
        match node:
            case kinds.Call():
                wrong = "" if _is_ours(node.node) and node.dyn_args is None and node.dyn_kwargs is None else "a call"
            case kinds.Filter():
                wrong = "" if node.name in FILTERS and node.node is not None else f"the filter {node.name}"
            case kinds.Test():
                wrong = "" if node.name in TESTS else f"the test {node.name}"
            case kinds.Assign():
                wrong = "" if isinstance(node.target, kinds.Name) else "an assignment to a part"
            case kinds.For():
                depth += 1
                wrong = f"loops {depth} deep" if depth > _DEPTH else "a loop in itself" if node.recursive else ""
        if wrong:
            raise BadInput(f"{wrong} is not in the language of papers", where=f"{SOURCE} line {node.lineno}", fix=_FIX)
        for child in node.iter_child_nodes():
            look(child, depth)

    look(tree, 0)


def _is_ours(called: object) -> bool:
    return getattr(called, "name", "") in FUNCTIONS


def _printed(value: object) -> object:
    """What an expression prints, or a refusal."""
    if value is None:
        raise BadInput("there is no value here", fix="ask first: {% if X is not none %}")
    if isinstance(value, (bool, int, float)):
        raise BadInput(
            f"{value} comes from no run", fix="print a value of a run; say yes and no in words with {% if %}"
        )
    if not isinstance(value, (str, *traced.KINDS)) and not hasattr(value, "_undefined_message"):
        raise BadInput("this is nothing that can be shown", fix=_FIX)
    return str(value)


def _number(value: object, form: str) -> traced.Number:
    if value is None:
        raise BadInput("there is no value here", fix="ask first: {% if X is not none %}")
    if not isinstance(value, traced.Number):
        raise BadInput(f"{str(value)[:40]!r} is no number of a run", fix=_FIX)
    return value._written(form)  # noqa: SLF001  # hidden from templates only


def _fmt(value: object, spec: str) -> traced.Number:
    return _number(value, f"fmt({spec})")


def _si(value: object, digits: int = 3) -> traced.Number:
    return _number(value, f"si({digits})")


def _pct(value: object, digits: int = 1) -> traced.Number:
    return _number(value, f"pct({digits})")


def _duration(value: object) -> traced.Number:
    return _number(value, forms.DURATION)


def _code(value: object) -> traced.Said:
    if not isinstance(value, traced.Said):
        raise BadInput("only words of a run stand as code")
    if value._form == forms.QUOTE and not _NAME.fullmatch(value._raw):  # noqa: SLF001  # as above
        raise BadInput("words with numbers in them, which nobody measured, are quoted", fix="leave `code` out")
    return value._written(forms.CODE)  # noqa: SLF001  # as above


def _pairs(value: object) -> object:
    """Names and values of a mapping, to walk them."""
    if not isinstance(value, traced.Table):
        raise BadInput("only several values by name are walked in pairs")
    return value._pairs()  # noqa: SLF001  # as above
