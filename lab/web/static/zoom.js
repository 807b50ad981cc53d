// The staircase to zoom into: drag to zoom, double-click for all, click a run to go to its row. uPlot draws it.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("zoom-data").textContent);
  const section = document.getElementById("stairs");
  if (!data.spots.length || !section) return;
  const KINDS = { keep: "keep", within: "within noise", discard: "discard", baseline: "baseline", claimed: "claimed" };
  const FLOOR = { unmeasured: "not measured", cancelled: "cancelled", crash: "crash" };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const make = (name, words, parent) => {
    const made = document.createElement(name);
    if (words) made.textContent = words;
    parent.append(made);
    return made;
  };
  const spots = data.spots, at = spots.map((spot) => spot[0]);
  const names = Object.keys(KINDS).filter((kind) => spots.some((spot) => spot[1] === kind));
  const floored = spots.filter((spot) => spot[2] === null || spot[2] === undefined);
  const columns = names.map((kind) => spots.map((spot) => (spot[1] === kind ? spot[2] : null)));
  const stairs = (steps) => {
    let step = -1;
    return at.map((n) => {
      while (step + 1 < steps.length && steps[step + 1][0] <= n) step += 1;
      return step < 0 ? null : steps[step][1];
    });
  };
  const best = stairs(data.steps), held = stairs(data.held);
  const edges = data.band === null ? [] : [1, -1].map((sign) => held.map((v) => (v === null ? null : v + sign * data.band)));

  const box = make("div", "", section);
  box.id = "zoom";
  make("h3", "The same, to zoom into", box);
  const bar = make("p", "", box);
  const place = make("div", "", box);
  const said = make("p", "Drag to zoom in, double-click for all of it, click a run to go to its row.", box);
  said.className = "quiet";
  said.setAttribute("role", "status");

  let plot = null, near = -1;
  const crosses = (u) => {
    const pen = u.ctx, half = 4 * devicePixelRatio, floor = u.bbox.top + u.bbox.height - half - 1;
    pen.save();
    pen.lineWidth = 1.5 * devicePixelRatio;
    for (const kind of Object.keys(FLOOR)) {
      pen.strokeStyle = colour(kind);
      pen.beginPath();
      for (const spot of floored) {
        const x = u.valToPos(spot[0], "x", true);
        if (spot[1] !== kind || x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
        pen.moveTo(x - half, floor - half); pen.lineTo(x + half, floor + half);
        pen.moveTo(x - half, floor + half); pen.lineTo(x + half, floor - half);
      }
      pen.stroke();
    }
    pen.restore();
  };
  const tell = (u) => {
    near = u.cursor.idx === null || u.cursor.idx === undefined ? -1 : u.cursor.idx;
    if (near < 0) return;
    const [n, kind, value, run, says] = spots[near];
    said.textContent = `${n}: ${run}, ${KINDS[kind] || FLOOR[kind] || kind}${value === null || value === undefined ? "" : ", " + value}${says ? ": " + says : ""}`;
  };
  const draw = () => {
    const kept = plot && { min: plot.scales.x.min, max: plot.scales.x.max };
    if (plot) plot.destroy();
    const axis = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid") } };
    const stepped = uPlot.paths.stepped({ align: 1 });
    const dots = (kind) => ({
      label: KINDS[kind], stroke: colour(kind), paths: () => null,
      points: { show: true, size: kind === "discard" ? 5 : 8, fill: colour(kind), stroke: colour(kind) },
    });
    plot = new uPlot({
      width: Math.max(280, Math.min(960, place.clientWidth)), height: 380,
      scales: { x: { time: false } },
      axes: [{ ...axis, label: "run" }, { ...axis, label: data.metric, size: 70 }],
      cursor: { drag: { x: true, y: true, uni: 30 } },
      legend: { show: true, live: false },
      bands: edges.length ? [{ series: [2, 3], fill: colour("band") + "24" }] : [],
      series: [
        { label: "run" },
        { label: "best so far", stroke: colour("stair"), width: 2, paths: stepped, points: { show: false } },
        ...edges.map((_, i) => ({ label: i ? "noise, below" : "noise, above", stroke: "transparent", paths: stepped, points: { show: false } })),
        ...names.map(dots),
      ],
      hooks: { draw: [crosses], setCursor: [tell] },
    }, [at, best, ...edges, ...columns], place);
    if (kept) plot.setScale("x", kept);
    let down = null;
    plot.over.addEventListener("mousedown", (event) => { down = [event.clientX, event.clientY]; });
    plot.over.addEventListener("click", (event) => {
      if (!down || Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 4) return; // it was a drag
      const row = near < 0 ? null : document.getElementById("run-" + spots[near][3]) || document.getElementById(spots[near][3]);
      if (row) location.hash = row.id;
    });
  };
  const move = (factor, shift) => {
    const { min, max } = plot.scales.x, middle = (min + max) / 2 + shift * (max - min), half = Math.max(((max - min) / 2) * factor, 1);
    plot.setScale("x", { min: middle - half, max: middle + half });
  };
  const all = () => plot.setScale("x", { min: at[0], max: at[at.length - 1] });
  for (const [words, act] of [
    ["Zoom in", () => move(0.5, 0)], ["Zoom out", () => move(2, 0)],
    ["Left", () => move(1, -0.25)], ["Right", () => move(1, 0.25)], ["All", all],
  ]) {
    const button = make("button", words, bar);
    button.type = "button";
    button.addEventListener("click", act);
    bar.append(" ");
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
})();
