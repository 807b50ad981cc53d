"""What is on the screen and what a key does to it. Knows no terminal: keys come as names, and rows go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.watching import deciding, experiment_frame, keys, lab_frame
from lab.cli.watching.looking import Looker
from lab.cli.watching.rows import BLANK, BOLD, DIM, WARN, fit
from lab.core.errors import LabError
from lab.projections import text

if TYPE_CHECKING:
    from lab.cli.watching.deciding import Asking
    from lab.cli.watching.looking import LogEnd
    from lab.cli.watching.rows import Row
    from lab.scheduler.results.happened import Told
    from lab.scheduler.results.wanted import Proposed
    from lab.store.root import Root

MOST_LINES = 10_000  # of a question: what does not fit the window is not agreed to
HELP = (
    ("q", "end; no run is touched"),
    ("j k, arrows", "select what waits, a run, or in the lab an experiment"),
    ("Enter", "in the lab: open the selected experiment"),
    ("Esc", "back, and to the lab"),
    ("Tab, Shift-Tab", "the next experiment, the one before"),
    ("l", "the log of the selected run: on or off"),
    ("e", "its stderr, or its stdout again"),
    ("a", "approve what waits, after a question"),
    ("r", "reject it, with a reason"),
    ("p", "pause the experiment, or resume it when it is paused or waits for a word"),
    ("?", "this list; any key leaves it"),
)
_KEYS_LAB = "q end  ? keys  j k select  Enter open  Tab next"
_KEYS = "q end  ? keys  j k select  Tab next  l log  a approve  r reject  p pause"
_WRAPPED = 4  # lines that what was said may take


class Pilot:
    """Where the watcher is."""

    def __init__(self, root: Root, experiment: str, *, actor: str, plain: bool = False, has_keys: bool = True) -> None:
        self._root = root
        self._actor = actor
        self._plain = plain
        self._has_keys = has_keys
        self._looker = Looker(root)
        self._page = experiment
        self._home = experiment
        self._selected: dict[str, str] = {}
        self._log, self._stream = True, "stdout"
        self._asking: Asking | None = None
        self._help = False
        self._said = ""
        self._is_whole = False  # whether all of the question that is open was to be seen
        self.is_over = False

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, a question is open, or the lab cannot be read."""
        return self._looker.is_busy or self._asking is not None

    def look(self) -> list[Told]:
        """Look at the lab again."""
        return self._looker.look()

    # -- what is seen ------------------------------------------------------------------------------------------------

    def rows(self, width: int, height: int) -> list[Row]:
        """The whole screen: as many rows as it has."""
        foot = self._foot(width)
        self._is_whole = len(foot) <= height
        foot = foot[-max(height - 1, 1) :] if self._asking is None else foot[-height:]
        room = max(height - len(foot), 0)
        body = self._body(width, room)[:room]
        told = [*body, *[BLANK] * (room - len(body)), *foot]
        return [fit(row, width, plain=self._plain) for row in told]

    def _body(self, width: int, height: int) -> list[Row]:
        if self._help:
            return [(("keys", BOLD),), *(((f"  {key:<15}", BOLD), (what, "")) for key, what in HELP)]
        if not self._page:
            return lab_frame.rows(self._lab(), width, height)
        shown = self._experiment()
        if self._looker.trouble:
            shown.experiment.trouble = shown.experiment.trouble or self._looker.trouble
        return experiment_frame.rows(shown, width, height)

    def _lab(self) -> lab_frame.LabShown:
        out = {name: count for name in self._looker.names() if (count := len(self._looker.under_way(name)))}
        return lab_frame.LabShown(
            index=self._looker.index, wants=self._looker.lab_wants(), under_way=out, news=self._looker.news,
            trouble=self._looker.trouble, selected=self._chosen(self._looker.names()), plain=self._plain,
        )  # fmt: skip

    def _experiment(self) -> experiment_frame.ExperimentShown:
        name = self._page
        under_way = self._looker.under_way(name)
        shown = experiment_frame.ExperimentShown(
            experiment=self._looker.experiment(name),
            under_way=under_way,
            lasts=self._looker.last_lines(name, under_way),
            picture=self._looker.picture(name),
            now=self._root.world.now(),
            selected=self._selected.get(name, ""),
            plain=self._plain,
        )
        if self._log:
            shown.log = self._shown_log(shown)
        return shown

    def _shown_log(self, shown: experiment_frame.ExperimentShown) -> LogEnd | None:
        """Of the selected run; else of the last that began, or the last that ended."""
        runs = [each.run_id for each in reversed(shown.under_way)]
        runs += [each.run_id for each in experiment_frame.ended(shown.experiment, shown.picture)]
        chosen = shown.selected if shown.selected in runs else next(iter(runs), "")
        return self._looker.log(self._page, chosen, self._stream) if chosen else None

    def _foot(self, width: int) -> list[Row]:
        if self._asking is not None:
            return [line for row in deciding.rows(self._asking) for line in _wrapped(row, width, MOST_LINES)]
        hint = (_KEYS if self._page else _KEYS_LAB) if self._has_keys else "Ctrl-C ends it"
        if self._said:
            return [*_wrapped(((self._said, WARN),), width), ((hint, DIM),)]
        return [((hint, DIM),)]

    # -- what a key does ---------------------------------------------------------------------------------------------

    def press(self, key: str) -> bool:
        """Take a key. True when what is asked now is to be seen before more keys are taken."""
        if self._asking is not None:
            return self._answered(key)
        self._said = ""
        if self._help:
            self._help = False
        elif key == "q":
            self.is_over = True
        elif key == "?":
            self._help = True
        elif key in ("j", keys.DOWN, "k", keys.UP):
            self._move(1 if key in ("j", keys.DOWN) else -1)
        elif key in (keys.TAB, keys.BACK_TAB):
            self._turn(1 if key == keys.TAB else -1)
        elif key == keys.ESCAPE:
            self._page = self._home if self._page != self._home else ""
        elif self._page:
            self._pressed_here(key)
        elif key in (keys.ENTER, "a", "r", "p"):
            self._page = self._chosen(self._looker.names())  # a decision is made where it is to be seen whole
            if self._page and key != keys.ENTER:
                self._pressed_here(key)
        return False

    def _pressed_here(self, key: str) -> None:
        if key == "l":
            self._log = not self._log
        elif key == "e":
            self._log, self._stream = True, "stderr" if self._stream == "stdout" else "stdout"
        elif key in ("a", "r", "p"):
            self._ask(key)

    def _ask(self, key: str) -> None:
        """Open a question; or say why there is none."""
        now = self._looker.experiment(self._page)
        try:
            if key != "p":
                waiting: list[Proposed] = [want.waiting for want in now.wants if want.waiting is not None]
                chosen = deciding.first(waiting, self._selected.get(self._page, ""))
                self._asking = deciding.about(deciding.APPROVE if key == "a" else deciding.REJECT, chosen)
            elif now.standing is not None:
                self._asking = deciding.phase(now.standing.view)
        except LabError as refusal:
            self._said = text.line(f"{refusal.what}; {refusal.fix}", 400)

    def _answered(self, key: str) -> bool:
        asking = self._asking
        if asking is None:
            return False
        was_sure = asking.sure
        if was_sure and not self._is_whole:
            self._asking = None
            more = "" if asking.sha256 == "" else "; labctl approvals shows it"
            self._said = f"not done: the window is too small to show all of {asking.verb} {asking.target}{more}"
            return False
        over = deciding.pressed(asking, key)
        if over is None:
            return asking.sure and not was_sure
        self._asking = None
        self._said = (
            deciding.carry_out(self._root, asking, self._actor)
            if over.agreed
            else f"not done: {asking.verb} {asking.target}"
        )
        return False

    def _move(self, by: int) -> None:
        names = experiment_frame.selectable(self._experiment()) if self._page else self._looker.names()
        if not names:
            return
        now = self._selected.get(self._page, "")
        at = names.index(now) + by if now in names else 0
        if not self._page and now not in names:
            at = min(max(by, 0), len(names) - 1)  # there the first is selected from the beginning
        self._selected[self._page] = names[min(max(at, 0), len(names) - 1)]

    def _turn(self, by: int) -> None:
        names = self._looker.names()
        if not names:
            return
        if self._page not in names:
            self._page = names[0 if by > 0 else -1]
        else:
            self._page = names[(names.index(self._page) + by) % len(names)]

    def _chosen(self, names: list[str]) -> str:
        """The selected experiment of the lab's page."""
        chosen = self._selected.get("", "")
        return chosen if chosen in names else next(iter(names), "")


def _wrapped(row: Row, width: int, most: int = _WRAPPED) -> list[Row]:
    """A row in as many lines as it takes, within reason; a cut is seen, as everywhere."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for words, style in row:
        for sign in words:
            wide = _width(sign)
            if used + wide > width and len(lines) < most:
                lines.append([])
                used = 0
            lines[-1].append((sign, style))
            used += wide
    return [_joined(line) for line in lines if line]


def _joined(line: list[tuple[str, str]]) -> Row:
    told: list[tuple[str, str]] = []
    for sign, style in line:
        if told and told[-1][1] == style:
            told[-1] = (told[-1][0] + sign, style)
        else:
            told.append((sign, style))
    return tuple(told)


def _width(sign: str) -> int:
    from rich.cells import cell_len

    return cell_len(sign)
