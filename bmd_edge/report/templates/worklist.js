"use strict";
// The worklist: a box that keeps the rows which hold all words typed, and headings that sort by their column.
const rows = [...document.querySelectorAll("#worklist tr.film-row")];
const bodies = [...document.querySelectorAll("#worklist tbody")];
const parts = [...document.querySelectorAll("#worklist section")];
const search = document.getElementById("search");
const shown = document.getElementById("shown");

function plain(text) { // as one types it: a hyphen for a minus
  return text.toLowerCase().replaceAll("\u2212", "-");
}

function asWritten(word) { // 24.11.2026 stands in the list as 2026-11-24
  const [, day, month, year] = word.match(/^(\d{1,2})\.(\d{1,2})\.(\d{4})$/) ?? [];
  return year ? `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}` : word;
}

function show() {
  const words = plain(search.value).split(/\s+/).filter(Boolean);
  for (const row of rows) {
    const text = plain(`${row.dataset.find} ${row.textContent}`);
    row.hidden = !words.every((word) => text.includes(word) || text.includes(asWritten(word)));
  }
  for (const body of bodies) body.hidden = ![...body.querySelectorAll("tr.film-row")].some((row) => !row.hidden);
  for (const part of parts) part.hidden = ![...part.querySelectorAll("tbody")].some((body) => !body.hidden);
  const left = rows.filter((row) => !row.hidden).length;
  const values = { left, all: rows.length, words: search.value.trim() };
  const said = left ? search.dataset.some : search.dataset.none; // in the page's language
  shown.textContent = words.length ? said.replace(/\{(\w+)\}/g, (place, name) => values[name]) : "";
}

function sort(head, column) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const table = head.closest("table");
  for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const text = (body) => body.querySelector("tr.film-row").cells[column].dataset.sort;
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const number = column === 3;
  const order = (a, b) => {
    const [one, other] = [text(a), text(b)];
    if (!one || !other) return Number(!one) - Number(!other); // what is not known stays at the end
    return (up ? 1 : -1) * (number ? one - other : compare(one, other));
  };
  table.append(...[...table.tBodies].sort(order));
}

for (const head of document.querySelectorAll("#worklist table.patients thead th")) {
  const button = document.createElement("button");
  button.textContent = head.textContent;
  button.addEventListener("click", () => sort(head, head.cellIndex));
  head.replaceChildren(button);
}
search.addEventListener("input", show);
document.getElementById("controls").hidden = false;
show();
