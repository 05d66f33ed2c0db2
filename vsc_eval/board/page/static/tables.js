// Tables that sort and filter: those in the page as HTML, and those made from data.

const STEP = 100;
const SORTERS = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

class TableView {
  /** `node` holds a heading, a table, a [data-status] and a [data-more]; `rows` are {order, entries, headline, values,
   * text, tr}; `say` is called with what changed on a reader's wish. */
  constructor(node, rows, atFirst, say) {
    this.title = node.querySelector("h3, h4").textContent;
    this.say = say;
    this.body = node.querySelector("tbody");
    this.status = node.querySelector("[data-status]");
    this.more = node.querySelector("[data-more]");
    this.rows = rows;
    this.atFirst = atFirst;
    this.limit = atFirst;
    this.keep = () => true;
    this.column = null;
    this.direction = "none";
    this.heads = [...node.querySelectorAll("thead tr:last-child th")];
    this.heads.forEach((head, column) => this.addSorter(head, column));
    this.more.addEventListener("click", () => this.showMore());
  }

  addSorter(head, column) {
    const label = [...head.childNodes];
    const button = el("button", { type: "button", class: "sort", onclick: () => this.sortBy(column) });
    button.append(...label);
    head.append(button);
    head.setAttribute("aria-sort", "none");
  }

  /** First click: from the largest, but text from A and ranks from the first. Second: the other way. Third: the
   * board's own order. */
  sortBy(column) {
    const rising = "rising" in this.heads[column].dataset;
    const cycle = rising ? ["ascending", "descending", "none"] : ["descending", "ascending", "none"];
    const at = this.column === column ? cycle.indexOf(this.direction) : -1;
    this.direction = cycle[(at + 1) % 3];
    this.column = column;
    this.heads.forEach((head, i) => head.setAttribute("aria-sort", i === column ? this.direction : "none"));
    this.show();
    const order = this.direction === "none" ? "in the board's order" : `sorted by ${this.heads[column].textContent}, ${this.direction}`;
    this.say(`${this.title}: ${order}`);
  }

  /** The title and how many rows are shown. */
  get words() {
    return `${this.title}: ${this.status.textContent}`;
  }

  filter(keep) {
    this.keep = keep;
    this.limit = this.atFirst;
    this.show();
  }

  sorted(rows) {
    const { column } = this;
    if (this.direction === "none") return rows.sort((a, b) => a.order - b.order);
    const sign = this.direction === "ascending" ? 1 : -1;
    return rows.sort((a, b) => {
      const [x, y] = [a.values[column], b.values[column]];
      if (x === null || y === null) return (x === null) - (y === null) || a.order - b.order;
      const by = typeof x === "number" && typeof y === "number" ? x - y : SORTERS.compare(String(x), String(y));
      return sign * by || a.order - b.order;
    });
  }

  show() {
    const kept = this.sorted(this.rows.filter(this.keep));
    const shown = kept.slice(0, this.limit);
    this.body.replaceChildren(...shown.map((row) => (typeof row.tr === "function" ? (row.tr = row.tr()) : row.tr)));
    if (!kept.length) {
      this.body.append(el("tr", {}, el("td", { colspan: this.heads.length, class: "empty" }, "No row matches the filter.")));
    }
    const all = kept.length === this.rows.length ? "" : ` of ${this.rows.length}`;
    const part = shown.length < kept.length ? `, the first ${shown.length} shown` : "";
    this.status.textContent = `${kept.length}${all} ${this.rows.length === 1 ? "row" : "rows"}${part}`;
    this.more.parentElement.hidden = shown.length === kept.length;
    this.more.textContent = `Show ${Math.min(STEP, kept.length - shown.length)} more rows`;
  }

  showMore() {
    const before = this.body.rows.length;
    this.limit += STEP;
    this.show();
    this.say(this.words);
    const next = this.body.rows[before];
    if (next && this.more.parentElement.hidden) {
      next.tabIndex = -1;
      next.focus();
    }
  }
}

/** A row of data as the table wants it: its element is made when it is first shown. `ids` of the board's entries, or null. */
function dataRow([cells, entries, headline, order, flips], columns, { header, home, subject }, ids) {
  const address = ids && entries.length ? `#entry/${ids[entries[0]]}` : null;
  const link = (i) => (address && i === home ? address : address && flips && entries.length === 1 && i === subject ? `${address}/${flips}` : null);
  return {
    order,
    entries,
    headline,
    values: cells.map((cell) => cell[1]),
    text: cells.map((cell) => cell[0]).join(" ").toLowerCase(),
    tr: () => el("tr", {}, cells.map((cell, i) => cellNode(cell, columns[i], i === header, link(i), i === subject))),
  };
}

function cellNode([text, , about], column, isHeader, link, isSubject) {
  const inside = column.number ? bdi(text) : broken(text);
  const shown = link ? el("a", { href: link }, inside) : inside;
  const why = about && text === NONE ? el("span", { class: "hidden" }, ` undefined: ${about}`) : null;
  return el(isHeader ? "th" : "td", { scope: isHeader ? "row" : null, class: column.number ? "num" : isSubject ? "subject" : null, title: about || null }, shown, why);
}

/** A row that is in the page as HTML. */
function htmlRow(tr) {
  const cells = [...tr.cells];
  return {
    order: Number(tr.dataset.order),
    entries: tr.dataset.entries ? tr.dataset.entries.split(" ").map(Number) : [],
    headline: !("other" in tr.dataset),
    values: cells.map((cell) => {
      const value = cell.dataset.v;
      if (value === undefined) return null;
      return cell.classList.contains("num") ? Number(value) : value;
    }),
    text: cells.map((cell) => cell.textContent).join(" ").toLowerCase(),
    tr,
  };
}

/** The table of a block of the page, with the rows that came as data. */
function pageTable(node, ids, say) {
  const rows = [...node.querySelectorAll("tbody tr")].map(htmlRow);
  const atFirst = Math.max(rows.length, 1);
  const columns = [...node.querySelectorAll("thead tr:last-child th")].map((head) => ({ number: head.classList.contains("num") }));
  const place = (key) => (key in node.dataset ? Number(node.dataset[key]) : null);
  const marked = { header: place("header"), home: place("home"), subject: place("subject") };
  for (const row of block(`rows-${node.dataset.table}`) ?? []) rows.push(dataRow(row, columns, marked, ids));
  return new TableView(node, rows, atFirst, say);
}

/** A whole table from data, with its own filter where it is long. */
function madeTable(table, level = "h4") {
  const title = freshId("table");
  const status = el("p", { class: "status", "data-status": true });
  const said = el("p", { class: "hidden", role: "status" });
  const say = announcer(said);
  const heads = table.columns.map((c) => el("th", { scope: "col", class: c.number ? "num" : null, "data-rising": c.rising }, bdi(c.heading)));
  const node = el("div", { class: "table-block" },
    el(level, { id: title }, table.title),
    table.rows.length > 12 ? textFilter(`Filter ${table.title.toLowerCase()}`, (keep) => { view.filter(keep); say(view.words); }) : null,
    status, said,
    el("div", { class: "scroll", role: "region", tabindex: 0, "aria-labelledby": title },
      el("table", { class: "grid", "aria-labelledby": title }, el("thead", {}, el("tr", {}, heads)), el("tbody"))),
    el("p", { class: "more", hidden: true }, el("button", { type: "button", "data-more": true }, "Show more rows")),
    notes(table));
  const view = new TableView(node, table.rows.map((row) => dataRow(row, table.columns, table, null)), 40, say);
  view.show();
  return node;
}

function textFilter(label, onfilter) {
  const id = freshId("filter");
  const input = el("input", { id, type: "search", autocomplete: "off", spellcheck: "false" });
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    onfilter((row) => row.text.includes(wanted));
  });
  return el("div", { class: "bar" }, el("div", {}, el("label", { for: id }, label), input));
}

function notes(table) {
  const abouts = table.columns.filter((column) => column.about);
  if (!table.notes.length && !abouts.length) return null;
  return el("details", { class: "notes" }, el("summary", {}, "How to read this table"),
    table.notes.length ? el("ul", {}, table.notes.map((note) => el("li", { dir: "auto" }, note))) : null,
    abouts.length ? el("dl", {}, abouts.map((c) => el("div", {}, el("dt", {}, c.heading), el("dd", {}, c.about)))) : null);
}

/** A plain table of a chart's points, for those who do not see the chart. The first `texts` columns are words. */
function pointTable(caption, headings, rows, texts = 1) {
  const look = (i) => (i < texts ? null : "num");
  return el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": caption },
    el("table", { class: "grid" },
      el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, headings.map((text, i) => el("th", { scope: "col", class: look(i) }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((text, i) => el(i ? "td" : "th", { scope: i ? null : "row", class: look(i) }, bdi(text))))))));
}

/** The filters of a section act on all its tables. */
function sectionFilters(form, tables, say) {
  const apply = () => {
    const wanted = form.elements.text.value.trim().toLowerCase();
    const entry = form.elements.entry ? form.elements.entry.value : "";
    const others = form.elements.rows ? form.elements.rows.value === "all" : false;
    for (const table of tables) {
      table.filter((row) =>
        (others || row.headline) && (entry === "" || row.entries.includes(Number(entry))) && row.text.includes(wanted));
    }
  };
  form.addEventListener("input", () => {
    apply();
    say(tables.map((table) => table.words).join("; "));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
