// Making elements. Text goes in as text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const MINUS = "\u2212";
const NONE = "\u2013";

/** An element with attributes and children; strings become text, null and false are left out. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Text of a model or a data set, kept from turning the text around it. */
function bdi(text) {
  return el("bdi", {}, text);
}

/** A name that may break after its joints. */
function broken(name) {
  return el("bdi", {}, name.split(/(?<=[_+:=/])(?=\p{L})/u).flatMap((part, i) => (i ? [el("wbr"), part] : [part])));
}

function byId(id) {
  return document.getElementById(id);
}

const parsed = new Map();

/** The data of a JSON block, parsed when it is first wanted; null if the page has none. */
function block(id) {
  if (!parsed.has(id)) {
    const node = byId(id);
    parsed.set(id, node ? JSON.parse(node.textContent) : null);
  }
  return parsed.get(id);
}

/** `72.4`, rounded as the board's tables are: what lies exactly between two figures goes to the even one. */
function fixed(value, digits = 1) {
  if (value === null) return NONE;
  const text = toEven(value, digits).toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", MINUS);
}

function toEven(value, digits) {
  const down = Math.floor(value * 10 ** digits);
  const isTie = Number.isInteger(value * 2 ** (digits + 1)) && value * 10 ** digits - down === 0.5;
  return isTie ? (down + (down % 2 === 0 ? 0 : 1)) / 10 ** digits : value;
}

/** A p-value to two significant digits. */
function pText(p) {
  if (p === null) return NONE;
  return p < 0.0001 ? "<0.0001" : String(Number(p.toPrecision(2)));
}

/** `+1.2`; what rounds to zero is `+0.0`. */
function signed(value, digits = 1) {
  const text = fixed(value, digits);
  return value === null || text.startsWith(MINUS) ? text : `+${text}`;
}

/** `72.4 [68.0, 76.1]` with the given writing of numbers. */
function withEnds([value, low, high], write) {
  if (value === null) return NONE;
  return low === null || high === null ? write(value) : `${write(value)} [${write(low)}, ${write(high)}]`;
}

const PAUSE_MS = 500;

/** A function that has a live region say its last text once its caller pauses, so that typing is not talked over. */
function announcer(region) {
  let waiting = null;
  return (text) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { region.textContent = text; }, PAUSE_MS);
  };
}

let counter = 0;

/** A new id, for a label and what it names. */
function freshId(stem) {
  counter += 1;
  return `${stem}-${counter}`;
}

/** A labelled select in a bar; `options` are [value, text]. */
function choice(label, options, onchange, chosen = null) {
  const id = freshId("choice");
  const select = el("select", { id, autocomplete: "off", onchange: () => onchange(select.value) });
  for (const [value, text] of options) select.append(el("option", { value }, text));
  if (chosen !== null) select.value = String(chosen);
  return { node: el("div", {}, el("label", { for: id }, label), select), select };
}

/** A disclosure whose inside is made when it is first opened. */
function later(summary, make) {
  const node = el("details", {}, el("summary", {}, summary));
  node.addEventListener("toggle", () => {
    if (node.open && node.childElementCount === 1) node.append(make());
  });
  return node;
}
