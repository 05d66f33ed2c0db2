// The answers that a condition changed, as cards with picture, question, options and probabilities.

const PAGE = 24;
const INVALID = "invalid";

/** Draws the gallery of one entry into `place`. `first` is the place of a condition in the entry, or null. */
function gallery(place, entry, flips, first, onchange) {
  if (!flips || !flips.conditions.length) {
    place.replaceChildren(el("p", { class: "notice" }, bdi(entry.name), " was run without edits, so none of its answers could change."));
    return;
  }
  const items = block("items");
  const state = { condition: 0, task: "", level: "", kind: "", limit: PAGE };
  const wanted = flips.conditions.findIndex((condition) => condition.place === first);
  state.condition = wanted >= 0 ? wanted : Math.max(0, flips.conditions.findIndex((condition) => condition.n_shown));
  const set = (key) => (value) => {
    state[key] = key === "condition" ? Number(value) : value;
    state.limit = PAGE;
    draw();
    if (key === "condition") onchange(flips.conditions[state.condition].place);
  };
  const list = (texts) => [["", "all"], ...texts.map((text, i) => [i, text])];
  const count = el("p", { class: "status", role: "status" });
  const cards = el("ul", { class: "cards" });
  const more = el("button", { type: "button", onclick: () => { state.limit += PAGE; draw(true); } });
  const controls = [
    choice("Condition", flips.conditions.map((one, i) => [i, `${one.name} (${one.n_flips.toLocaleString("en")})`]), set("condition"), state.condition),
    choice("Task", list(items.tasks), set("task")),
    choice("Level", list(items.levels), set("level")),
    choice("Kind of change", list(items.kinds), set("kind")),
  ];
  place.replaceChildren(
    el("p", { class: "intro" }, "Items whose answer differs from that of the same model without an edit: ", bdi(entry.name), "."),
    el("div", { class: "bar", role: "group", "aria-label": "Filter the changed answers" }, controls.map((one) => one.node)),
    count, cards, el("p", { class: "more" }, more));

  function chosen() {
    const { condition, row, kind } = flips.flips;
    const kept = [];
    for (let i = 0; i < condition.length; i += 1) {
      if (condition[i] !== state.condition) continue;
      const item = flips.items.item[row[i]];
      if (state.task !== "" && items.items.task[item] !== Number(state.task)) continue;
      if (state.level !== "" && items.items.level[item] !== Number(state.level)) continue;
      if (state.kind !== "" && kind[i] !== Number(state.kind)) continue;
      kept.push(i);
    }
    return kept;
  }

  function draw(adding = false) {
    const kept = chosen();
    const from = adding ? cards.childElementCount : 0;
    const fresh = kept.slice(from, state.limit).map((i) => flipCard(flips, items, i));
    if (adding) cards.append(...fresh);
    else cards.replaceChildren(...fresh);
    count.textContent = countWords(kept.length, cards.childElementCount, flips.conditions[state.condition]);
    more.parentElement.hidden = cards.childElementCount >= kept.length;
    more.textContent = `Show ${Math.min(PAGE, kept.length - cards.childElementCount)} more`;
    if (adding && fresh.length) fresh[0].querySelector(".card").focus();
  }
  draw();
}

function countWords(found, drawn, condition) {
  if (!condition.n_flips) return "This condition changed no answer.";
  const part = condition.n_shown < condition.n_flips
    ? ` This page holds ${condition.n_shown.toLocaleString("en")} of the ${condition.n_flips.toLocaleString("en")} that the condition changed.`
    : "";
  if (!found) return `No changed answer matches these filters.${part}`;
  const shown = drawn < found ? `, the first ${drawn} shown` : "";
  return `${found.toLocaleString("en")} changed ${found === 1 ? "answer" : "answers"}${shown}.${part}`;
}

function flipCard(flips, { items, tasks, levels, letters, kinds, reasons, sources, alts }, i) {
  const row = flips.flips.row[i];
  const item = flips.items.item[row];
  const [before, after, gold] = [flips.items.before[row], flips.flips.after[i], items.gold[item]];
  const level = items.level[item];
  const kind = kinds[flips.flips.kind[i]];
  const title = freshId("flip");
  const picture = items.picture[item];
  return el("li", {}, el("article", { class: "card", tabindex: -1, "aria-labelledby": title },
    el("header", {},
      el("h3", { id: title }, bdi(tasks[items.task[item]]), level === null ? null : [", ", bdi(levels[level])]),
      el("span", { class: `tag${tone(kind)}` }, kind)),
    picture === null
      ? el("p", { class: "note" }, reasons[items.reason[item]] ?? "No picture.")
      : el("img", { src: sources[picture], alt: alts[picture], decoding: "async" }),
    el("p", { class: "question", dir: "auto" }, items.question[item] || "The board does not hold the question."),
    el("p", { class: "verdict" }, "Answered ", answerWords(before), " \u2192 ", answerWords(after), "; gold: ", el("b", {}, bdi(gold))),
    optionTable(items.options[item], letters[flips.items.letters[row]], flips.items.p_before[row], flips.flips.p_after[i], before, after, gold),
    el("p", { class: "id" }, bdi(items.id[item]))));
}

function tone(kind) {
  if (kind === "right to wrong" || kind === "became unreadable") return " bad";
  return kind === "wrong to right" ? " good" : "";
}

function answerWords(answer) {
  return answer === INVALID ? el("b", {}, "unreadable") : el("b", {}, bdi(answer));
}

/** One line an option: its letter and text, and how probable it was before and after. */
function optionTable(options, letters, before, after, saidBefore, saidAfter, gold) {
  const count = Math.max(options.length, before || after ? letters.length : 0);
  if (!count) return null;
  const known = Boolean(before || after);
  const letter = (i) => letters[i] ?? String.fromCharCode(65 + i);
  const lines = Array.from({ length: count }, (_, i) => el("tr", { class: letter(i) === gold ? "gold" : null },
    el("th", { scope: "row" }, bdi(`${letter(i)}${options[i] === undefined ? "" : `. ${options[i]}`}`), letter(i) === gold ? el("span", { class: "tag" }, "gold") : null),
    known ? [meterCell(before, i, letter(i) === saidBefore, ""), meterCell(after, i, letter(i) === saidAfter, " after")] : null));
  return el("table", { class: "options" },
    el("caption", { class: "hidden" }, known ? "Options and their probabilities in percent" : "Options"),
    el("colgroup", {}, el("col"), known ? [el("col", { class: "p" }), el("col", { class: "p" })] : null),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Option"), known ? [el("th", { scope: "col" }, "before, %"), el("th", { scope: "col" }, "after, %")] : null)),
    el("tbody", {}, lines));
}

function meterCell(probabilities, i, said, kind) {
  if (!probabilities) return el("td", {}, NONE);
  const percent = 100 * probabilities[i];
  const bar = el("i");
  bar.style.width = `${Math.min(100, percent)}%`;
  return el("td", { class: said ? "said" : null },
    `${fixed(percent)}${said ? " \u2713" : ""}`, said ? el("span", { class: "hidden" }, " answered") : null,
    el("span", { class: `meter${kind}`, "aria-hidden": "true" }, bar));
}
