// Accuracy against drift of every edit, as a picture whose points take the keyboard, and as a table.

const SHAPES = { single: "circle", combined: "square", norm_matched: "triangle" };
const ROLES = { single: "single set", combined: "combined edit", norm_matched: "norm-matched combined edit" };
const COLOURS = 6;
const MOST_WHISKERS = 40;

function frontierPanel(entry, openFlips) {
  const all = entry.frontier
    .map(([condition, drift, d0, d1, diff, a0, a1]) => ({ condition, drift, diff, ends: [d0, d1, a0, a1], ...entry.conditions[condition] }))
    .sort((a, b) => a.drift - b.drift || b.diff - a.diff);
  const edits = [...new Set(all.map((point) => point.edit))];
  const colour = (point) => `k${Math.min(edits.indexOf(point.edit), COLOURS - 1)}`;
  const scoring = el("p", { class: "scoring", "aria-hidden": "true" }, "Point at a mark, or move along them with the arrow keys.");
  const state = { edit: "", at: 0 };
  const redraw = () => {
    const fresh = make();
    picture.replaceWith(fresh);
    picture = fresh;
  };
  const pick = choice("Edit", [["", "all"], ...edits.map((edit, i) => [i, edit ?? "none"])], (value) => {
    state.edit = value;
    state.at = 0;
    redraw();
  });
  const make = () => {
    const points = all.filter((point) => state.edit === "" || point.edit === edits[Number(state.edit)]);
    return chart((width) => frontierPicture(entry, points, colour, scoring, state, openFlips, width));
  };
  let picture = make();
  return el("section", { class: "panel" },
    el("h4", {}, "Accuracy against drift"),
    el("p", { class: "note" }, "Every mark is one condition over all items. Up is better, to the left is less changed; the dashed line joins the conditions that no other beats in both."),
    edits.length > 1 ? el("div", { class: "bar" }, pick.node) : null,
    picture, scoring, frontierLegend(all, edits, colour),
    later("The same as a table", () => pointTable(`Accuracy against drift, ${entry.name}`,
      ["Condition", "Drift, %", "Change of accuracy, points"],
      all.map((p) => [p.name, withEnds([p.drift, p.ends[0], p.ends[1]], fixed), withEnds([p.diff, p.ends[2], p.ends[3]], signed)]))));
}

/** Where marks lie on each other, single sets are on top: there are fewest of them. */
function depth(point) {
  return Object.keys(SHAPES).indexOf(point.role);
}

/** Points that no other beats in both: more accuracy with no more drift. The baseline is the point (0, 0). */
function undominated(points) {
  const line = [{ drift: 0, diff: 0 }];
  for (const point of points) if (point.diff > line[line.length - 1].diff) line.push(point);
  return line;
}

function frontierPicture(entry, points, colour, scoring, state, openFlips, width) {
  const height = Math.round(Math.max(300, Math.min(440, width * 0.6)));
  const box = { left: 52, right: width - 14, top: 28, bottom: height - 46 };
  const xs = points.map((p) => p.drift);
  const ys = points.map((p) => p.diff);
  const few = points.length <= MOST_WHISKERS;
  if (few) for (const { ends } of points) { xs.push(ends[1] ?? 0); ys.push(ends[2] ?? 0, ends[3] ?? 0); }
  const xMost = Math.max(1, ...xs) * 1.06;
  const [yLeast, yMost] = [Math.min(-1, ...ys) * 1.1, Math.max(1, ...ys) * 1.1];
  const x = scale(0, xMost, box.left, box.right);
  const y = scale(yLeast, yMost, box.bottom, box.top);
  const [tx, ty] = [ticks(0, xMost, Math.max(3, width / 110)), ticks(yLeast, yMost, 6)];
  const title = freshId("frontier");
  const marks = points.map((point, i) => frontierMark(point, i, x, y, colour(point), few));
  const line = undominated(points).map((p) => `${x(p.drift)},${y(p.diff)}`).join(" ");
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-labelledby": `${title} ${title}-d` },
    svg("title", { id: title }, `Accuracy against drift of ${points.length} conditions of ${entry.name}`),
    svg("desc", { id: `${title}-d` }, "Arrow keys move from mark to mark in the order of drift; Enter opens the answers that a condition changed. A table follows."),
    axes(box, x, y, tx.at.map((v) => [v, tickText(v, tx.step, fixed)]), ty.at.map((v) => [v, tickText(v, ty.step, signed)]),
      { x: "drift, % of answers changed", y: "change of accuracy, points" }),
    svg("line", { class: "axis", x1: box.left, x2: box.right, y1: y(0), y2: y(0) }),
    svg("polyline", { class: "frontier", points: line }),
    [...marks].sort((a, b) => depth(points[b.dataset.at]) - depth(points[a.dataset.at])));
  roam(picture, marks, points, scoring, state, openFlips);
  return picture;
}

function frontierMark(point, i, x, y, colour, whiskers) {
  const [px, py] = [x(point.drift), y(point.diff)];
  const shape = SHAPES[point.role] ?? "circle";
  const hollow = shape === "triangle";
  const [d0, d1, a0, a1] = point.ends;
  const reach = (from, to, attributes) => (from === null || to === null ? null : svg("line", { class: "whisker ink", ...attributes(from, to) }));
  const cross = () => [
    reach(d0, d1, (from, to) => ({ x1: x(from), x2: x(to), y1: py, y2: py })),
    reach(a0, a1, (from, to) => ({ x1: px, x2: px, y1: y(from), y2: y(to) })),
  ];
  return svg("g", { class: `point ${colour}`, tabindex: i ? -1 : 0, role: "button", "aria-label": pointWords(point), "data-at": i },
    whiskers ? cross() : null,
    svg("circle", { class: "halo", cx: px, cy: py, r: 10 }),
    mark(shape, px, py, hollow ? 5.5 : 5, { class: hollow ? "hollow ink" : "fill" }));
}

function pointWords(point) {
  const drift = withEnds([point.drift, point.ends[0], point.ends[1]], fixed);
  const diff = withEnds([point.diff, point.ends[2], point.ends[3]], signed);
  return `${point.name} (${ROLES[point.role]}): drift ${drift} %, change of accuracy ${diff} points`;
}

/** One stop for the Tab key; arrows, Home and End move between the marks; Enter and Space open one. */
function roam(picture, marks, points, scoring, state, openFlips) {
  const show = (i) => {
    marks[state.at]?.classList.remove("on");
    marks[state.at]?.setAttribute("tabindex", "-1");
    state.at = i;
    marks[i].classList.add("on");
    marks[i].setAttribute("tabindex", "0");
    scoring.replaceChildren(bdi(pointWords(points[i])));
  };
  const at = (event) => event.target.closest?.("[data-at]");
  const open = (i) => openFlips(points[i].condition);
  picture.addEventListener("pointerover", (event) => at(event) && show(Number(at(event).dataset.at)));
  picture.addEventListener("focusin", (event) => at(event) && show(Number(at(event).dataset.at)));
  picture.addEventListener("click", (event) => at(event) && open(Number(at(event).dataset.at)));
  picture.addEventListener("keydown", (event) => {
    const last = marks.length - 1;
    const to = { ArrowRight: state.at + 1, ArrowUp: state.at + 1, ArrowLeft: state.at - 1, ArrowDown: state.at - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) marks[Math.max(0, Math.min(last, to))].focus();
    else if (event.key === "Enter" || event.key === " ") open(state.at);
    else return;
    event.preventDefault();
  });
}

function legendMark(shape, colour) {
  const hollow = shape === "triangle";
  return svg("svg", { width: 16, height: 16, "aria-hidden": "true", class: colour }, mark(shape, 8, 8, 5, { class: hollow ? "hollow ink" : "fill" }));
}

function frontierLegend(points, edits, colour) {
  const roles = Object.keys(SHAPES).filter((role) => points.some((point) => point.role === role));
  const named = edits.slice(0, COLOURS);
  return el("ul", { class: "legend" },
    roles.map((role) => el("li", {}, legendMark(SHAPES[role], "k5"), ROLES[role])),
    named.map((edit, i) => el("li", {}, legendMark("circle", colour({ edit })),
      bdi(i === COLOURS - 1 && edits.length > COLOURS ? "other edits" : edit ?? "no edit"))));
}
