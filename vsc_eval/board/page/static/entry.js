// Everything about one model, made when it is chosen.

function entryBody(entry, openFlips) {
  const facts = (list, look) => el("dl", { class: look }, list.map(([label, text]) => el("div", { class: text.length > 60 ? "spread" : null }, el("dt", {}, label), el("dd", { dir: "auto" }, text))));
  return [
    el("div", { class: "entry-head" },
      el("h3", {}, bdi(entry.name)),
      entry.note ? el("blockquote", { class: "quote", dir: "auto" }, entry.note) : null,
      el("p", { class: "note" }, "All figures and answers of this entry: ", el("code", {}, `entries/${entry.id}/`))),
    facts(entry.about, "facts"),
    later("How it was computed", () => facts(entry.provenance, "long")),
    el("div", { class: "overview" },
      entry.grid ? heatPanel(entry) : null,
      entry.frontier.length ? frontierPanel(entry, openFlips) : null),
    entry.matrices ? matricesPanel(entry) : null,
    entry.probes ? probesPanel(entry) : null,
    entry.tables.map((table) => el("section", { class: "panel" }, madeTable(table))),
  ].flat().filter(Boolean);
}
