"""Measure what asking a model costs the lab itself: its own CPU, not the model's.

    python scripts/bench/llm.py [--repeats 50] [--json]

A question of 20 kB for four candidates, to a server on this machine that answers at once, from a process of its own.
Each figure is the median CPU time of this process; nothing here is asserted as a time in a test.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.core import assignment
from lab.core.advice import Advice, Candidate
from lab.core.model import Model
from lab.core.origin import Origin
from lab.core.run import SUCCESS
from lab.core.space import parse
from lab.core.spec import Spec
from lab.core.trial import History, Trial, luck
from lab.core.view import View
from lab.llm import contract, door, extract, openai, proposals
from lab.llm.exchange import USER, Ask, Turn
from lab.projections.standing import Briefing
from lab.projections.tables import Line
from lab.scheduler.search.asking import prompt
from lab.strategies.llm import Llm
from scripts.bench import gauge, table
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.space import Space

GOAL_MS = 20
CANDIDATES, PROMPT_CHARS, TRIED = 4, 20_000, 10_000
BURST = "import lab.cli.burst, lab.scheduler.search.burst"
LOADED = (sys.executable, "-c", f"{BURST}, http.client, lab.llm.contract, lab.llm.door, lab.llm.proposals")
SPACE: dict[str, object] = {
    "lr": {"low": 1e-5, "high": 1.0, "log": True},
    "layers": {"low": 1, "high": 24, "type": "int"},
    "width": {"low": 64, "high": 4096, "step": 64, "type": "int"},
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": {"choices": ["adam", "sgd", "muon"]},
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
    "warmup": {"low": 0, "high": 2000, "type": "int"},
    "amp": {"type": "bool"},
}


def main() -> None:
    """Measure and show."""
    options = _arguments()
    if options.serve:
        _serve(options.serve)
        return
    space = parse(SPACE)
    answer = _answer(space)
    server = subprocess.Popen(
        [sys.executable, os.path.realpath(__file__), "--serve", answer],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = (server.stdout or sys.stdin).readline().strip()
        rows = _searched(space, options.repeats)
        rows += _measured(space, answer, f"http://127.0.0.1:{port}/v1", options.repeats)
    finally:
        server.communicate()
    print(json.dumps(table.as_data(rows)) if options.json else table.as_text(rows))


def _searched(space: Space, repeats: int) -> list[Row]:
    """What a search adds: the question from a long history, and the strategy's choice among what was answered."""
    points = [assignment.draw(space, luck(1, number)) for number in range(TRIED)]
    lines = [
        Line(run_id=f"RUN-20260101-{k // 100:06}-{k % 100:06}-scout", outcome=SUCCESS, value=1 / (k + 1),
             params=dict(point), origin=Origin(strategy="llm", number=k, note="what a model said of it " * 5))
        for k, point in enumerate(points)
    ]  # fmt: skip
    trials = tuple(
        Trial(run_id=line.run_id, params=point, value=line.value, outcome=SUCCESS, origin=line.source)
        for line, point in zip(lines, points, strict=True)
    )
    view = View(experiment="hunt", direction="minimize", runs=TRIED)
    given = Briefing(view=view, spec=Spec(id="hunt", goal="find it"), space=space, lines=lines)
    model, known = Model(model="m"), {assignment.key(point) for point in points}
    said = tuple(Candidate(ask="ASK-000001", params=assignment.draw(space, luck(3, k))) for k in range(CANDIDATES))
    history = History(trials=trials, number=TRIED, known=known, advice=Advice(candidates=said))
    asked = _cpu_ms(lambda: prompt.ask(given, space, history, model), repeats)
    chosen = _cpu_ms(lambda: Llm().propose(space, history, luck(1, TRIED)), repeats)
    length = len(prompt.ask(given, space, history, model).turns[0].text)
    what = f"the question of a search with {TRIED:,} runs, of {length:,} characters"
    rows = [Row(what=what, ours=f"{asked:.2f} ms", goal=f"< {GOAL_MS} ms", met=asked < GOAL_MS, number=asked)]
    what = f"a proposal of the strategy llm among {TRIED:,} trials, the model asked already"
    rows.append(Row(what=what, ours=f"{chosen:.2f} ms", goal=f"< {GOAL_MS} ms", met=chosen < GOAL_MS, number=chosen))
    return rows


def _measured(space: Space, answer: str, url: str, repeats: int) -> list[Row]:
    tried = {assignment.key(assignment.draw(space, luck(1, number))) for number in range(TRIED)}
    model = Model(base_url=url, model="double", structured="json_schema")
    ask = Ask(
        system="You tune.",
        turns=(Turn(role=USER, text="x" * PROMPT_CHARS),),
        schema=proposals.schema(space, CANDIDATES),
    )

    def check(value: object) -> tuple[object | None, list[str]]:
        found, problems = proposals.check(value, space, limit=CANDIDATES, tried=tried)
        return found or None, problems

    def consult() -> None:
        told = contract.consult(
            ask, door.transport(model, {}), check, timeout_s=30, stop=lambda: False, spend=lambda _: True
        )
        if told.value is None:
            raise RuntimeError(told.what)

    parts: dict[str, Callable[[], object]] = {
        "the schema of the space": lambda: proposals.schema(space, CANDIDATES),
        "the request, as bytes": lambda: json.dumps(openai.request(ask, model, "json_schema")[1]).encode(),
        "reading the answer": lambda: extract.value(f"Here it is:\n```json\n{answer}\n```", ["proposals"]),
        f"checking {CANDIDATES} candidates against {TRIED:,} trials": lambda: check(extract.value(answer)),
    }
    rows = [Row(what=name, ours=f"{_cpu_ms(part, repeats):.2f} ms") for name, part in parts.items()]
    whole = _cpu_ms(consult, repeats)
    what = f"a whole question of {PROMPT_CHARS // 1000} kB for {CANDIDATES} candidates, the connection included"
    rows.append(Row(what=what, ours=f"{whole:.2f} ms", goal=f"< {GOAL_MS} ms", met=whole < GOAL_MS, number=whole))
    commands = {"ours": LOADED, "floor": (sys.executable, "-c", BURST), "nothing": gauge.FLOOR}
    loaded = gauge.in_turns(commands, gauge.environment(), min(repeats, 11))
    more = 1000 * (loaded["ours"] - loaded["floor"])
    nothing = f"{1000 * loaded['nothing']:.0f} ms (python -c pass)"
    rows.append(Row(what="loading it, beyond what a burst loads, once a process", ours=f"{more:.0f} ms", floor=nothing))
    return rows


def _cpu_ms(part: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats + 1):
        before = gauge.cpu_s()
        part()
        taken.append(gauge.cpu_s() - before)
    return 1000 * gauge.median(taken[1:])


def _answer(space: Space) -> str:
    """What a good model would say."""
    points = [assignment.draw(space, luck(2, number)) for number in range(CANDIDATES)]
    said = [{"params": each, "hypothesis": "why " * 40, "expect": {"delta": -0.01}, "parent": None, "change": "that"}
            for each in points]  # fmt: skip
    return json.dumps({"proposals": said})


def _serve(answer: str) -> None:
    usage = {"prompt_tokens": 5000, "completion_tokens": 400}
    choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    body = json.dumps({"model": "double-1", "choices": [choice], "usage": usage}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: stdout carries the port."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
