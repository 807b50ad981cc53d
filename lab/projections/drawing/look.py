"""What each look is in light, in dark and on paper: the one place that names a colour."""

from __future__ import annotations

# look -> (light, dark). Blue and orange before green and red: also those who mix these two up can tell them apart.
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14171a"),
    "ink": ("#1a1f24", "#e6e9ec"),
    "axis": ("#59626b", "#9aa4ae"),
    "grid": ("#e3e7eb", "#2a3036"),
    "frame": ("#c3cad1", "#3a424a"),
    "muted": ("#59626b", "#9aa4ae"),
    "leader": ("#8b949d", "#78828c"),
    "keep": ("#0b62c4", "#5aa9ff"),
    "best": ("#0b62c4", "#5aa9ff"),
    "within": ("#8a6d00", "#d9b44a"),
    "discard": ("#9aa3ac", "#6f7983"),
    "crash": ("#c2330c", "#ff7a4d"),
    "cancelled": ("#9aa3ac", "#6f7983"),
    "running": ("#7a3fc2", "#b78bff"),
    "baseline": ("#1a1f24", "#e6e9ec"),
    "claimed": ("#7a3fc2", "#b78bff"),
    "replayed": ("#7a3fc2", "#b78bff"),
    "unmeasured": ("#9aa3ac", "#6f7983"),
    "done": ("#0b62c4", "#5aa9ff"),
    "stair": ("#0b62c4", "#5aa9ff"),
    "band": ("#0b62c4", "#5aa9ff"),
    "bar": ("#0b62c4", "#5aa9ff"),
    "hint": ("#8a6d00", "#d9b44a"),
    "clipped": ("#9aa3ac", "#6f7983"),
    "series-0": ("#0b62c4", "#5aa9ff"),
    "series-1": ("#b35900", "#ffab57"),
    "series-2": ("#00795c", "#3fc9a3"),
    "series-3": ("#a3327f", "#f08ccb"),
    "series-4": ("#6d5b00", "#d6c24a"),
    "series-5": ("#5846b5", "#a99bff"),
    "series-6": ("#7a4a2b", "#cf9f7f"),
    "series-7": ("#4b5560", "#a9b4bf"),
    "scale-0": ("#c9ced4", "#3b434b"),
    "scale-1": ("#b4c3d4", "#3d5063"),
    "scale-2": ("#93b3d6", "#3d658c"),
    "scale-3": ("#6b9fd8", "#3f7db8"),
    "scale-4": ("#4388d4", "#4592dc"),
    "scale-5": ("#1f6fca", "#55a5f7"),
    "scale-6": ("#0b4f9e", "#8cc6ff"),
}
BAND_OPACITY = 0.14
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _variables(which: int) -> str:
    return "".join(f"--{name}:{pair[which]};" for name, pair in COLOURS.items())


def _classes() -> str:
    rules = [
        f".lab-scene{{font-family:{FONT};max-width:100%;height:auto;color:var(--ink)}}",
        ".lab-scene .paper{fill:var(--paper)}",
        ".lab-scene text{fill:var(--ink)}",
        ".lab-scene .line{fill:none;stroke-linejoin:round;stroke-linecap:round}",
        ".lab-scene .dots{fill:none;stroke-linecap:round}",
        # Words over marks stay readable: the paper shows around each letter.
        ".lab-scene text.label{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}",
        ".lab-scene a:hover .mark,.lab-scene a:focus .mark{stroke:var(--ink);stroke-width:2}",
    ]
    for name in COLOURS:
        if name in ("paper", "ink"):
            continue
        rules.append(f".lab-scene .line.{name},.lab-scene .dots.{name}{{stroke:var(--{name})}}")
        rules.append(f".lab-scene .area.{name},.lab-scene circle.{name}{{fill:var(--{name})}}")
    rules.append(f".lab-scene .area.band{{fill-opacity:{BAND_OPACITY}}}")
    rules += [
        ".lab-scene text.muted,.lab-scene text.tick,.lab-scene tspan.muted{fill:var(--muted)}",
        ".lab-scene text.crash{fill:var(--crash)}",
    ]
    return "".join(rules)


VARIABLES = (
    f":root{{color-scheme:light dark;{_variables(0)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(1)}}}}}"
    f"@media print{{:root{{color-scheme:light;{_variables(0)}}}}}"
)


def style(*, dark: bool | None = None) -> str:
    """The style sheet of a drawing that stands alone: light, dark, or as its reader wants it."""
    if dark is None:
        return VARIABLES + _classes()
    return f":root{{color-scheme:{'dark' if dark else 'light'};{_variables(int(dark))}}}{_classes()}"


STYLE = style()
