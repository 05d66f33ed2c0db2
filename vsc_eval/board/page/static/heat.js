// The 7 x 3 map of one entry: tasks down, levels across, and their margins.

const MEASURES = {
  accuracy: { name: "accuracy, %", at: 4, write: fixed, map: "s" },
  difference: { name: "change of accuracy, points", at: 7, write: signed, map: "d" },
  drift: { name: "drift, % of answers changed", at: 10, write: fixed, map: "s" },
};

/** Points at the ends of a signed map at the least, so that noise is not painted as harm. */
const LEAST_SCALE = 2;

/** Class of a share from 0 to 100. */
function sequential(percent) {
  return `s${Math.max(0, Math.min(9, Math.floor(percent / 10)))}`;
}

/** Class of a signed value: harm towards d0, gain towards d8, by the largest size. */
function diverging(gain, largest) {
  if (Math.abs(gain) < 0.05) return "d4";
  const step = Math.max(1, Math.min(4, Math.ceil((Math.abs(gain) / largest) * 4 - 1e-9)));
  return `d${4 + Math.sign(gain) * step}`;
}

function heatPanel(entry) {
  const { grid, conditions } = entry;
  const asked = Object.keys(grid.values).map(Number);
  const place = el("div");
  const state = { measure: "accuracy", condition: asked[0] };
  const options = (list) => list.map((i) => [i, conditions[i].name]);
  const condition = choice("Condition", options(asked), (value) => { state.condition = Number(value); draw(); });
  const measure = choice("Show", Object.entries(MEASURES).map(([key, one]) => [key, one.name]), (value) => {
    state.measure = value;
    if (value !== "accuracy" && conditions[state.condition].role === "baseline") {
      const edited = asked.find((i) => conditions[i].role !== "baseline");
      if (edited !== undefined) condition.select.value = String((state.condition = edited));
    }
    draw();
  });
  function draw() {
    place.replaceChildren(heatTable(entry, MEASURES[state.measure], state.condition));
  }
  draw();
  return el("section", { class: "panel" },
    el("h4", {}, "Tasks and levels"),
    asked.length > 1 ? el("div", { class: "bar" }, measure.node, condition.node) : null,
    place);
}

function heatTable(entry, measure, condition) {
  const { rows, columns, values } = entry.grid;
  const cells = new Map((values[condition] ?? []).map((cell) => [`${cell[0]},${cell[1]}`, cell]));
  const inner = [...cells.values()].filter((c) => c[0] < rows.length && c[1] < columns.length);
  // Studies have totals only of their conditions: those get the colours then.
  const coloured = inner.length ? inner : [...cells.values()];
  const largest = Math.max(LEAST_SCALE, ...coloured.map((c) => Math.abs(c[measure.at] ?? 0)));
  const one = (down, across) => heatCell(cells.get(`${down},${across}`), measure, largest, inner.length > 0 && (down === rows.length || across === columns.length));
  const caption = `${entry.conditions[condition].name}: ${measure.name}; ${perCell(inner.map((c) => c[2]))}`;
  const head = (text) => el("th", { scope: "col" }, bdi(text));
  return el("div", {},
    el("div", { class: "map-scroll", role: "region", tabindex: 0, "aria-label": "Map of tasks and levels" },
      el("table", { class: "map" },
        el("caption", {}, bdi(caption)),
        el("thead", {}, el("tr", {}, el("td"), columns.map(head), head("all levels"))),
        el("tbody", {}, [...rows, "all tasks"].map((task, down) => el("tr", {},
          el("th", { scope: "row" }, broken(task)),
          [...columns, null].map((_, across) => one(down, across))))))),
    measure.map === "s" ? sequentialKey() : divergingKey(largest, "worse", "better"),
    el("p", { class: "note" }, `Small figures: intervals (${entry.grid.methods}). A figure without one has none that is defined.`));
}

function perCell(ns) {
  if (!ns.length) return "the entry holds totals only";
  const [least, most] = [Math.min(...ns), Math.max(...ns)];
  return `n = ${least === most ? least : `${least} to ${most}`} a cell`;
}

function heatCell(cell, measure, largest, isMargin) {
  const value = cell ? cell[measure.at] : null;
  if (value === null) return el("td", { class: "blank" }, NONE, el("span", { class: "hidden" }, cell ? " undefined" : " not given"));
  const [low, high] = [cell[measure.at + 1], cell[measure.at + 2]];
  const colour = isMargin ? "margin" : measure.map === "s" ? sequential(value) : diverging(value, largest);
  const invalid = cell[3] ? `, ${cell[3]} unreadable` : "";
  return el("td", { class: colour, title: `n = ${cell[2]}${invalid}` },
    el("b", {}, measure.write(value)),
    el("small", {}, low === null || high === null ? el("span", { class: "hidden" }, "no interval") : `${measure.write(low, 0)} to ${measure.write(high, 0)}`));
}

function ramp(letter, steps) {
  return el("span", { class: "ramp", "aria-hidden": "true" }, Array.from({ length: steps }, (_, i) => el("i", { class: `${letter}${i}` })));
}

function sequentialKey() {
  return el("p", { class: "key" }, "0", ramp("s", 10), "100 %");
}

function divergingKey(largest, worse, better) {
  const size = fixed(largest);
  return el("p", { class: "key" }, `${worse} (${size} points)`, ramp("d", 9), `${better} (${size} points)`);
}
