// Axes and the redrawing of charts at the width that there is, so that their letters stay readable on a phone.

/** About `n` round values from low to high. */
function ticks(low, high, n) {
  const raw = (high - low) / n;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= raw * 0.999);
  const from = Math.ceil(low / step - 1e-9);
  const to = Math.floor(high / step + 1e-9);
  return { step, at: Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step) };
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function tickText(value, step, write) {
  return write(value, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

/** Grid, tick labels and titles of two axes. */
function axes(box, x, y, xTicks, yTicks, titles) {
  const { left, top, right, bottom } = box;
  return svg("g", { "aria-hidden": "true" },
    yTicks.map(([value, text]) => [
      svg("line", { class: "rule", x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, text)]),
    xTicks.map(([value, text]) => [
      svg("line", { class: "axis", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4 }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, text)]),
    svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    titles.x ? svg("text", { x: (left + right) / 2, y: bottom + 38, "text-anchor": "middle" }, titles.x) : null,
    titles.y ? svg("text", { x: left, y: top - 10, "text-anchor": "start" }, titles.y) : null);
}

const widths = new ResizeObserver((changes) => {
  for (const { target } of changes) target.redraw();
});

/** A block that calls `draw(width)` whenever its width changes by more than a scroll bar. */
function chart(draw, { least = 260, most = 860 } = {}) {
  const node = el("div", { class: "chart" });
  let drawn = 0;
  node.redraw = () => {
    const width = Math.round(Math.max(least, Math.min(most, node.clientWidth)));
    if (!node.clientWidth || Math.abs(width - drawn) < 12) return;
    drawn = width;
    node.replaceChildren(draw(width));
  };
  widths.observe(node);
  return node;
}

/** A mark of one of three shapes around (x, y): circle, square, triangle. */
function mark(shape, x, y, r, attributes) {
  if (shape === "square") return svg("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, ...attributes });
  if (shape === "triangle") {
    const [w, h] = [1.2 * r, 1.1 * r];
    return svg("path", { d: `M${x} ${y - h}L${x + w} ${y + h}L${x - w} ${y + h}Z`, ...attributes });
  }
  return svg("circle", { cx: x, cy: y, r, ...attributes });
}
