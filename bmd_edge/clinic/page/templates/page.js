"use strict";
// Keeps the page as the box has it: told by a stream of events, else asked every 10 s. What has not changed stays.
const POLL_MS = 10_000;
const SILENT_MS = 40_000; // the box gives a sign every 15 s
const [bar, lost, search, shown, news] = ["bar", "lost", "search", "shown", "news"].map((id) => document.getElementById(id));
const body = document.querySelector("#films tbody");
let stream = null;
let heard = Date.now();
let answered = new Date();
let tag = "";
let asking = false;
let askAgain = false;

// Sentences are the page's, in its language.
function filled(said, values) {
  return said.replace(/\{(\w+)\}/g, (place, name) => values[name]);
}

function find() {
  const words = search.value.toLowerCase().replaceAll("\u2212", "-").split(/\s+/).filter(Boolean);
  for (const row of body.rows) {
    const text = `${row.dataset.find} ${row.textContent}`.toLowerCase().replaceAll("\u2212", "-");
    row.hidden = !words.every((word) => text.includes(word));
  }
  const left = [...body.rows].filter((row) => !row.hidden).length;
  const said = words.length ? filled(search.dataset.said, { left, all: body.rows.length }) : "";
  if (shown.textContent !== said) shown.textContent = said;
}

function put(old, now) {
  if (old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
}

// Rows of the answer in their order; those that stand here already and say the same are not touched.
function putRows(now) {
  const before = new Map([...body.rows].map((row) => [row.id, row]));
  const changes = [];
  let place = body.firstElementChild;
  for (const row of [...now.rows]) {
    const old = before.get(row.id);
    before.delete(row.id);
    if (old?.dataset.state !== row.dataset.state) changes.push(row.dataset.state);
    const same = old && old.dataset.text === row.dataset.text;
    const kept = same ? old : row;
    if (old && !same && old === place) place = place.nextElementSibling;
    if (old && !same) old.remove();
    if (kept === place) place = place.nextElementSibling;
    else body.insertBefore(kept, place);
  }
  for (const row of before.values()) row.remove();
  return changes;
}

function remember(rows) {
  for (const row of rows) row.dataset.text = row.innerHTML;
}

function say(changes) {
  if (!changes.length) return;
  const each = changes.map((state) => news.dataset[state]).join(" ");
  news.textContent = changes.length > 3 ? filled(news.dataset.many, { n: changes.length }) : each;
}

async function ask() {
  if (asking) { askAgain = true; return; }
  asking = true;
  try {
    const answer = await fetch("/", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 200) {
      tag = answer.headers.get("ETag") ?? "";
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } else if (answer.status !== 304) throw new Error();
    answered = new Date();
    lost.hidden = true;
  } catch {
    const said = lost.querySelector("b");
    said.textContent = filled(said.dataset.said, { time: answered.toLocaleTimeString() });
    lost.hidden = false;
  }
  asking = false;
  if (askAgain) { askAgain = false; ask(); }
}

function take(now) {
  document.title = now.title;
  put(bar, now.getElementById("bar"));
  for (const part of [".notice", "#hangs", "h1", "#count"]) put(document.querySelector(part), now.querySelector(part));
  const rows = now.querySelector("#films tbody");
  remember(rows.rows);
  say(putRows(rows));
  find();
}

function listen() {
  stream?.close();
  heard = Date.now();
  stream = new EventSource("/events");
  const hear = () => { heard = Date.now(); };
  stream.addEventListener("beat", hear);
  stream.addEventListener("change", () => { hear(); ask(); });
}

function look() {
  if (document.hidden) return;
  if (Date.now() - heard > SILENT_MS) listen();
  if (stream.readyState !== EventSource.OPEN) ask();
}

// A browser has six connections to one address: a page that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream.close();
  else listen();
});
search.addEventListener("input", find);
document.getElementById("controls").hidden = false;
remember(body.rows);
find();
listen();
setInterval(look, POLL_MS);
