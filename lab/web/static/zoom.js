// The staircase to zoom into: drag to zoom, double-click for all, click a run to go to its row. uPlot draws it.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("zoom-data").textContent);
  const section = document.getElementById("stairs");
  if (!data.n.length || !section) return;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const make = (name, words, parent) => {
    const made = document.createElement(name);
    if (words) made.textContent = words;
    parent.append(made);
    return made;
  };
  // What is written once stands there once: see zoom.py.
  let count = 0, name = "";
  const at = data.n.map((gap) => (count += gap));
  const runs = data.run.map((told) => {
    const begins = parseInt(told[0], 36), ends = parseInt(told[1], 36);
    return (name = name.slice(0, begins) + told.slice(2) + name.slice(name.length - ends));
  });
  const says = data.says.map((told) => (typeof told === "number" ? data.says[told] : told));
  const has = (value) => value !== null && value !== undefined;
  const shown = data.kinds.map((_, kind) => data.value.map((value, place) => (data.kind[place] === kind ? value : null)));
  const drawn = data.kinds.map((kind, place) => ({ look: kind[0], word: kind[1], values: shown[place] })).filter((kind) => kind.values.some(has));
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
  const legend = make("p", "", box);
  legend.className = "quiet";
  const SHAPES = { dot: "\u2022", circle: "\u25cf", square: "\u25a0", diamond: "\u25c6", cross: "\u00d7", area: "\u25ac", dashes: "\u2504", line: "\u2501" };
  for (const [look, shape, words] of [["stair", "line", "best so far"], ...data.legend.filter((entry) => entry[1] !== "dashes")]) {
    make("b", SHAPES[shape] || SHAPES.circle, make("span", "", legend)).style.color = `var(--${look})`;
    legend.lastChild.append(` ${words}`);
    legend.append("  ");
  }
  const said = make("p", "Drag to zoom in, double-click for all of it, click a run to go to its row.", box);
  said.className = "quiet";
  said.setAttribute("role", "status");

  let plot = null, near = -1;
  const marked = (u) => {
    const pen = u.ctx, half = 4 * devicePixelRatio, floor = u.bbox.top + u.bbox.height - half - 1;
    pen.save();
    pen.lineWidth = 1.5 * devicePixelRatio;
    data.value.forEach((value, place) => { // those without a value stand on the floor
      const x = u.valToPos(at[place], "x", true);
      if (has(value) || x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
      pen.strokeStyle = colour(data.kinds[data.kind[place]][0]);
      pen.beginPath();
      pen.moveTo(x - half, floor - half); pen.lineTo(x + half, floor + half);
      pen.moveTo(x - half, floor + half); pen.lineTo(x + half, floor - half);
      pen.stroke();
    });
    pen.beginPath();
    pen.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    pen.clip();
    pen.fillStyle = colour("within");
    for (const place of data.unsure) {
      pen.beginPath();
      pen.arc(u.valToPos(at[place], "x", true), u.valToPos(data.value[place], "y", true), half / 2, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.restore();
  };
  const tell = (u) => {
    near = u.cursor.idx === null || u.cursor.idx === undefined ? -1 : u.cursor.idx;
    if (near < 0) return;
    const value = data.value[near];
    said.textContent = `${at[near]}: ${runs[near]}, ${data.unsure.includes(near) ? data.unsureWord : data.kinds[data.kind[near]][1]}${has(value) ? ", " + value : ""}${says[near] ? ": " + says[near] : ""}`;
  };
  const draw = () => {
    const kept = plot && { min: plot.scales.x.min, max: plot.scales.x.max };
    if (plot) plot.destroy();
    const axis = { stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid") } };
    const stepped = uPlot.paths.stepped({ align: 1 });
    const dots = (kind) => ({
      stroke: colour(kind.look), paths: () => null,
      points: { show: true, size: kind.look === "discard" ? 5 : 8, fill: colour(kind.look), stroke: colour(kind.look) },
    });
    plot = new uPlot({
      width: Math.max(280, Math.min(960, place.clientWidth)), height: 380,
      scales: { x: { time: false } },
      axes: [{ ...axis, label: "run" }, { ...axis, label: data.metric, size: 70 }],
      cursor: { drag: { x: true, y: true, uni: 30 } },
      legend: { show: false },
      bands: edges.length ? [{ series: [2, 3], fill: colour("band") + "24" }] : [],
      series: [
        {},
        { stroke: colour("stair"), width: 2, paths: stepped, points: { show: false } },
        ...edges.map(() => ({ stroke: "transparent", paths: stepped, points: { show: false } })),
        ...drawn.map(dots),
      ],
      hooks: { draw: [marked], setCursor: [tell] },
    }, [at, best, ...edges, ...drawn.map((kind) => kind.values)], place);
    if (kept) plot.setScale("x", kept);
    let down = null;
    plot.over.addEventListener("mousedown", (event) => { down = [event.clientX, event.clientY]; });
    plot.over.addEventListener("click", (event) => {
      if (!down || Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 4) return; // it was a drag
      const row = near < 0 ? null : document.getElementById("run-" + runs[near]) || document.getElementById(runs[near]);
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
