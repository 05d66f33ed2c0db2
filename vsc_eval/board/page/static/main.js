// What is shown follows the address: #entry/ID, #entry/ID/flips/CONDITION.

const chooser = byId("entry-choice");
const entryIds = chooser ? [...chooser.options].map((option) => option.dataset.id) : [];
const shown = { entry: -1, condition: null };

/** Shows an entry and the gallery of one of its conditions. */
function showEntry(place, condition = null) {
  const entry = block(`entry-${place}`);
  const openFlips = (wanted) => {
    const there = address(entry, wanted);
    if (location.hash === there) follow();
    else location.hash = there;
  };
  if (place !== shown.entry) {
    byId("entry-body").replaceChildren(...entryBody(entry, openFlips));
    // Now and not with the next frame: what stands below must not move after it was scrolled to.
    for (const node of byId("entry-body").querySelectorAll(".chart")) node.redraw();
  }
  if (place !== shown.entry || (condition !== null && condition !== shown.condition)) {
    gallery(byId("flips-body"), entry, block(`flips-${place}`), condition, (wanted) => {
      shown.condition = wanted;
      canonicalise(address(entry, wanted));
    });
  }
  Object.assign(shown, { entry: place, condition });
  chooser.value = String(place);
}

function address(entry, condition) {
  return `#entry/${entry.id}${condition === null ? "" : `/flips/${encodeURIComponent(entry.conditions[condition].name)}`}`;
}

/** Puts an address into the bar without going there: what it names is on the screen already. */
function canonicalise(wanted) {
  history.replaceState(null, "", wanted);
}

/** Follows the address; false if it names no entry of this board. */
function follow() {
  const [kind, id, part, name] = location.hash.slice(1).split("/");
  if (kind !== "entry" || !id) return false;
  const place = entryIds.indexOf(id);
  if (place < 0) return false;
  const entry = block(`entry-${place}`);
  const wanted = part === "flips" ? entry.conditions.findIndex((c) => encodeURIComponent(c.name) === name || c.name === name) : -1;
  showEntry(place, wanted < 0 ? null : wanted);
  const title = byId(part === "flips" ? "flips-title" : "entry-title");
  title.focus({ preventScroll: true });
  title.scrollIntoView({ behavior: "instant" });
  return true;
}

for (const form of document.querySelectorAll("form.filters")) {
  const section = form.closest("section");
  const say = announcer(section.querySelector("[data-said]"));
  sectionFilters(form, [...section.querySelectorAll(".table-block")].map((node) => pageTable(node, entryIds, say)), say);
  form.hidden = false;
}
if (chooser) {
  byId("entry-bar").hidden = false;
  chooser.addEventListener("change", () => {
    showEntry(Number(chooser.value));
    canonicalise(address(block(`entry-${chooser.value}`), null));
  });
  window.addEventListener("hashchange", follow);
  if (!follow()) showEntry(0);
}
