// Interference: what a combined edit of two sets does beyond its parts, by edit, raw and norm-matched.

const INTERACTIONS = [
  { name: "drift", at: 3, p: 5, gain: -1, own: 0 },
  { name: "accuracy", at: 4, p: 6, gain: 1, own: 1 },
];
const FORMS = ["raw", "norm-matched"];

function matricesPanel(entry) {
  const { matrices } = entry;
  const place = el("div");
  const draw = (i) => place.replaceChildren(edition(matrices, matrices.edits[i]));
  const edit = choice("Edit", matrices.edits.map((one, i) => [i, one.edit]), (value) => draw(Number(value)), matrices.chosen);
  draw(matrices.chosen);
  return el("section", { class: "panel" },
    el("h4", {}, "Interference between sets"),
    el("p", { class: "note" }, "What a combined edit of two sets does beyond its parts, in points. Orange is harm: more drift, or less accuracy, than the parts have. On the diagonal, in italics: what the single set does by itself."),
    el("div", { class: "bar" }, edit.node),
    place);
}

function edition(matrices, { edit, diagonal, pairs }) {
  const largest = INTERACTIONS.map(({ at }) => Math.max(LEAST_SCALE, ...pairs.map((pair) => Math.abs(pair[at][0] ?? 0))));
  const maps = FORMS.flatMap((form, f) => {
    const here = pairs.filter((pair) => pair[2] === f);
    return here.length ? INTERACTIONS.map((interaction, i) => matrix(matrices.sets, diagonal, here, interaction, form, largest[i])) : [];
  });
  const decided = pairs.filter((pair) => pair[7]);
  const marks = [
    pairs.some((pair) => pair[5] !== null || pair[6] !== null) ? "Framed and with a star: adjusted p of 0.05 or less." : "No combined edit of this entry was tested.",
    decided.length ? "\u2691: judged to interfere." : "",
  ];
  return el("div", {},
    el("div", { class: "pair" }, maps),
    el("p", { class: "note" }, marks.join(" ")),
    later("The same as a table", () => pairTable(matrices.sets, pairs, edit)),
    decided.length ? later("Verdicts", () => verdictTable(matrices.sets, decided)) : null);
}

function matrix(sets, diagonal, pairs, interaction, form, largest) {
  const found = new Map(pairs.map((pair) => [`${Math.max(pair[0], pair[1])},${Math.min(pair[0], pair[1])}`, pair]));
  const title = freshId("matrix");
  return el("div", {},
    el("h5", { id: title }, `Interaction of ${interaction.name}, ${form} combined edits`),
    el("div", { class: "map-scroll", role: "region", tabindex: 0, "aria-labelledby": title },
      el("table", { class: "map matrix", "aria-labelledby": title },
        el("thead", {}, el("tr", {}, el("td"), sets.map((name) => el("th", { scope: "col" }, el("span", { class: "upright" }, bdi(name)))))),
        el("tbody", {}, sets.map((name, down) => el("tr", {}, el("th", { scope: "row" }, broken(name)),
          sets.map((_, across) => matrixCell(down, across, found.get(`${down},${across}`), diagonal[down], interaction, largest))))))),
    divergingKey(largest, "harm", "less harm than the parts"));
}

function matrixCell(down, across, pair, own, interaction, largest) {
  if (across > down) return el("td", { class: "none" });
  if (across === down) return el("td", { class: "own" }, own ? (interaction.own ? signed : fixed)(own[interaction.own][0]) : NONE);
  if (!pair || pair[interaction.at][0] === null) return el("td", { class: "blank" }, NONE);
  const value = pair[interaction.at][0];
  const p = pair[interaction.p];
  const told = p !== null && p <= 0.05;
  const interferes = pair[7] === "interference";
  return el("td", { class: `${diverging(value * interaction.gain, largest)}${told ? " told" : ""}`, title: withEnds(pair[interaction.at], signed) },
    `${signed(value)}${told ? "*" : ""}`,
    interferes ? [el("span", { "aria-hidden": "true" }, "\u2691"), el("span", { class: "hidden" }, " interferes")] : null);
}

function pairTable(sets, pairs, edit) {
  return pointTable(`Interaction of combined edits, ${edit}`,
    ["Combined edit", "Form", "Drift, points", "adjusted p", "Accuracy, points", "adjusted p"],
    pairs.map((pair) => [`${sets[pair[0]]} + ${sets[pair[1]]}`, FORMS[pair[2]], withEnds(pair[3], signed), pText(pair[5]), withEnds(pair[4], signed), pText(pair[6])]), 2);
}

function verdictTable(sets, pairs) {
  return pointTable("Verdicts", ["Combined edit", "Form", "Verdict", "Decided by"],
    pairs.map((pair) => [`${sets[pair[0]]} + ${sets[pair[1]]}`, FORMS[pair[2]], pair[7] === "none" ? "no interference" : pair[7], pair[8] ?? NONE]), 4);
}
