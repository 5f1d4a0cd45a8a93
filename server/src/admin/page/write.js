// Everything that is put into the page goes through here, as text. A node is touched only when what it says has changed: selections, focus and
// screen readers stay undisturbed.

import { UNKNOWN } from "./words.js";

/** Signs beside the words, so that no meaning hangs on a colour. */
const SIGNS = { good: "✓", warn: "!", bad: "✕" };

export const at = (id) => document.getElementById(id);

/** Lets `node` say `text`. */
export function say(node, text) {
  const wanted = String(text ?? UNKNOWN);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Lets `node` say `text` with a sign, or hides it when there is none. `mark` is `good`, `warn` or `bad`. */
export function banner(node, mark, text) {
  const isThere = text !== null;
  if (node.hidden === isThere) node.hidden = !isThere;
  if (!isThere) return;
  if (node.dataset.mark !== mark) node.dataset.mark = mark;
  say(node, `${SIGNS[mark]} ${text}`);
}

export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = String(text);
  if (className) made.className = className;
  return made;
}

/** What stands in a cell: a text, or `{ text, mark, note, lines, meter, link, isNumber }`. */
function fill(node, content) {
  const parts = content !== null && typeof content === "object" ? content : { text: content };
  const { text, mark, note, lines, meter, link, isNumber } = parts;
  const children = [];
  const words = text === null || text === undefined || text === "" ? UNKNOWN : text;
  const main = link === undefined ? element("span", mark ? `${SIGNS[mark]} ${words}` : words) : element("a", words);
  if (link !== undefined) main.href = link;
  if (mark) main.dataset.mark = mark;
  if (lines === undefined) children.push(main);
  for (const line of lines ?? []) children.push(element("span", line, "line"));
  if (typeof meter === "number") {
    const gauge = element("meter");
    [gauge.min, gauge.max, gauge.value] = [0, 1, meter];
    gauge.setAttribute("aria-hidden", "true");
    children.push(gauge);
  }
  if (note) children.push(element("small", note));
  node.classList.toggle("number", Boolean(isNumber));
  node.classList.toggle("unknown", words === UNKNOWN && !note && !lines);
  node.replaceChildren(...children);
}

/** Gives the table of `body` these columns. When they are others than before, its rows are made anew. */
export function columns(body, names) {
  const head = body.closest("table").tHead.rows[0];
  if (head.dataset.names === names.join()) return;
  head.dataset.names = names.join();
  const heads = names.map((name) => element("th", name));
  heads.forEach((one) => { one.scope = "col"; });
  head.replaceChildren(...heads);
  body.replaceChildren();
}

const written = new WeakMap();

function update(node, content) {
  const now = JSON.stringify(content ?? null);
  if (written.get(node) === now) return;
  written.set(node, now);
  fill(node, content);
}

/**
 * Lets the table of `body` have these rows: lists of what stands in the cells, the first of which names its row. Rows are known by `keys`, or by their
 * place. Without rows it says `none`.
 */
export function rows(body, cells, { keys = cells.map((_, index) => String(index)), none = "none" } = {}) {
  const table = body.closest("table");
  const labels = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  if (cells.length === 0) [cells, keys] = [[null], ["none"]];
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  cells.forEach((contents, index) => {
    const row = known.get(keys[index]) ?? made(body, keys[index], contents === null, labels);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
    if (contents === null) say(row.cells[0], none);
    else contents.forEach((content, column) => update(row.cells[column], content));
  });
  while (body.rows.length > cells.length) body.lastElementChild.remove();
}

function made(body, key, isNone, labels) {
  const row = element("tr");
  const hasRoles = body.hasAttribute("role");
  row.dataset.key = key;
  if (hasRoles) row.setAttribute("role", "row");
  const cells = isNone ? [element("td", "", "none")] : labels.map((_, column) => element(column === 0 ? "th" : "td"));
  cells.forEach((cell, column) => {
    const isHead = cell.tagName === "TH";
    if (isHead) cell.scope = "row";
    if (hasRoles) cell.setAttribute("role", isHead ? "rowheader" : "cell");
    if (isNone) cell.colSpan = Math.max(1, labels.length);
    else cell.dataset.label = labels[column];
  });
  row.append(...cells);
  return row;
}

/** Lets a list of terms have these pairs of term and what stands in a cell. */
export function tiles(list, pairs) {
  const terms = pairs.map(([term]) => term).join("\n");
  if (list.dataset.terms !== terms) {
    list.dataset.terms = terms;
    list.replaceChildren(
      ...pairs.map(([term]) => {
        const tile = element("div");
        tile.append(element("dt", term), element("dd"));
        return tile;
      }),
    );
  }
  pairs.forEach(([, content], index) => update(list.children[index].lastElementChild, content));
}
