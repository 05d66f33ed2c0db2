// Probe accuracy by layer: one small chart for each target and pooling, controls dashed.

const DASHES = [null, "6 4", "2 3", "9 3 2 3", "4 2"];

function probesPanel(entry) {
  const { probes } = entry;
  const names = [...new Set(probes.panels.flatMap((panel) => panel.lines.map((line) => line.name)))];
  const controls = new Set(probes.panels.flatMap((panel) => panel.lines.filter((line) => line.control).map((line) => line.name)));
  const look = (name) => ({ colour: `k${Math.min(names.indexOf(name), COLOURS - 1)}`, dash: controls.has(name) ? DASHES[1 + (names.indexOf(name) % 4)] : null });
  return el("section", { class: "panel" },
    el("h4", {}, "Probes of every layer"),
    el("p", {}, bdi(probes.by)),
    el("ul", { class: "legend" },
      names.map((name) => el("li", { class: look(name).colour }, dashMark(look(name)), el("span", { class: "name" }, bdi(name)))),
      el("li", {}, svg("svg", { width: 30, height: 10, "aria-hidden": "true" }, svg("line", { class: "chance", x1: 1, x2: 29, y1: 5, y2: 5 })), "guessing"),
      el("li", {}, svg("svg", { width: 12, height: 14, "aria-hidden": "true" }, svg("line", { class: "chosen", x1: 6, x2: 6, y1: 0, y2: 14 })), "the chosen layer")),
    el("div", { class: "panels" }, probes.panels.map((panel) =>
      el("figure", {}, el("figcaption", {}, bdi(panel.title)), chart((width) => probePicture(panel, probes.layer, look, width), { least: 220, most: 420 })))),
    el("p", { class: "note" }, `Test accuracy in percent by decoder layer; "emb" is before the first. Bands: ${probes.interval}.`),
    later("The same as a table", () => pointTable(`Probes, ${entry.name}`, ["Probe", "Line", "Layer", "Accuracy, %"],
      probes.panels.flatMap((panel) => panel.lines.flatMap((line) => line.points.map(([layer, ...ends]) =>
        [panel.title, line.name, layerText(layer), withEnds(ends, fixed)]))), 2)));
}

function layerText(layer) {
  return layer < 0 ? "emb" : String(layer);
}

function dashMark({ dash }) {
  return svg("svg", { width: 30, height: 10, "aria-hidden": "true" }, svg("line", { class: "line ink", "stroke-dasharray": dash, x1: 1, x2: 29, y1: 5, y2: 5 }));
}

function probePicture(panel, chosen, look, width) {
  const height = Math.round(width * 0.62);
  const box = { left: 34, right: width - 8, top: 10, bottom: height - 26 };
  const layers = [...new Set(panel.lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
  const [first, last] = [layers[0], layers[layers.length - 1]];
  const x = scale(first, last === first ? first + 1 : last, box.left + 10, box.right - 6);
  const y = scale(0, 100, box.bottom, box.top);
  const every = Math.ceil(layers.length / Math.floor(width / 34));
  const xTicks = layers.filter((_, i) => i % every === 0).map((layer) => [layer, layerText(layer)]);
  const title = freshId("probe");
  const real = panel.lines.find((line) => !line.control) ?? panel.lines[0];
  const best = real.points.reduce((a, b) => (b[1] > a[1] ? b : a));
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": `${title} ${title}-d` },
    svg("title", { id: title }, `Probe accuracy by layer: ${panel.title}`),
    svg("desc", { id: `${title}-d` }, `${panel.lines.length} lines. ${real.name} is best at layer ${layerText(best[0])} with ${fixed(best[1])} %. The figures are in the table below.`),
    axes(box, x, y, xTicks, [0, 25, 50, 75, 100].map((v) => [v, String(v)]), {}),
    layers.includes(chosen) ? svg("line", { class: "chosen", x1: x(chosen), x2: x(chosen), y1: box.top, y2: box.bottom }) : null,
    panel.chance === null ? null : svg("line", { class: "chance", x1: box.left, x2: box.right, y1: y(panel.chance), y2: y(panel.chance) }),
    panel.lines.map((line) => probeLine(line, x, y, look(line.name))));
}

function probeLine(line, x, y, { colour, dash }) {
  const up = line.points.map(([layer, , , high]) => `${x(layer)},${y(high)}`);
  const down = line.points.map(([layer, , low]) => `${x(layer)},${y(low)}`).reverse();
  return svg("g", { class: colour },
    svg("polygon", { class: "band area", points: [...up, ...down].join(" ") }),
    svg("polyline", { class: "line ink", "stroke-dasharray": dash, points: line.points.map(([layer, value]) => `${x(layer)},${y(value)}`).join(" ") }),
    line.points.map(([layer, value]) => svg("circle", { class: "fill", cx: x(layer), cy: y(value), r: 2.8 })));
}
