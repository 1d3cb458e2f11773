// The panel: puts the parts together. What the server has drawn stays until the first message.

import { BoardDialog, confirm, post, question, questionOfWorker } from "./dialogs.js";
import { Events } from "./events.js";
import { Live } from "./live.js";
import {
  boardColumns,
  boardSorts,
  groupOf,
  wordsOf,
  workerColumns,
  workerSorts,
} from "./rows.js";
import { KeyedTable } from "./tables.js";
import { clock, span, sync, tick } from "./time.js";

const byId = (id) => document.getElementById(id);
const GROUPS = ["available", "reserved", "preparing", "broken", "offline", "draining"];

let boards = null;
let workers = null;
const events = new Events(byId("events"), byId("events-shown"), byId("events-empty"));
const dialog = new BoardDialog();
let total = 0;
let asOf = "";

/** Says something to who does not see the page, and shows it for a while to who does. */
function say(text) {
  byId("said").textContent = text;
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.hidden = true), 6000);
}

/* What is filtered and sorted stands in the address, so that it can be kept as a bookmark. */

const address = new URL(location.href).searchParams;

function keepInAddress() {
  const url = new URL(location.href);
  const set = (key, value, usual) => {
    if (value && value !== usual) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  };
  set("q", byId("search").value.trim());
  set("status", byId("group").value);
  set("sort", (boards.direction < 0 ? "-" : "") + boards.sort, "serial");
  history.replaceState(null, "", url);
}

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const group = byId("group").value;
  boards.filter((board) => {
    if (group && groupOf(board) !== group) return false;
    const text = wordsOf(board);
    return words.every((word) => text.includes(word));
  });
  for (const tile of document.querySelectorAll("#tiles button")) {
    tile.setAttribute("aria-pressed", String(tile.dataset.group === group));
  }
  count();
  keepInAddress();
}

function count() {
  const shown = boards.shown.length;
  const isAll = shown === total;
  const text = isAll ? String(total) : `${shown} of ${total}`;
  const element = byId("boards-count");
  if (element.textContent !== text) element.textContent = text;
  const empty = byId("boards-empty");
  empty.hidden = shown > 0;
  empty.textContent = total ? "No board fits the filter." : "No board has been reported yet.";
}

/** Draws the tables anew, with everything that needs scripting. */
function begin() {
  boards = new KeyedTable(byId("boards"), {
    columns: boardColumns,
    key: (board) => board.serial,
    sorts: boardSorts,
    sort: "serial",
    mark: (row, board) => (row.dataset.group = groupOf(board)),
    onSort: () => {
      byId("sort").value = boards.sort;
      keepInAddress();
    },
  });
  workers = new KeyedTable(byId("workers-table"), {
    columns: workerColumns,
    key: (worker) => worker.name,
    sorts: workerSorts,
    sort: "name",
    mark: (row, worker) => (row.dataset.contact = worker.contact),
  });
  const sort = address.get("sort") ?? "serial";
  const name = sort.replace(/^-/, "");
  if (boardSorts[name]) boards.sortBy(name, sort.startsWith("-") ? -1 : 1);
  byId("search").value = address.get("q") ?? "";
  const group = address.get("status") ?? "";
  byId("group").value = GROUPS.includes(group) ? group : "";
  for (const id of ["filters", "event-filters"]) byId(id).hidden = false;
  filter();
}

/* The strip at the top. */

function summary(status) {
  const counts = status.boards;
  const drawn = {
    ...counts,
    workers: `${status.workers.reachable}/${status.workers.total}`,
  };
  for (const tile of document.querySelectorAll("#tiles > [data-group]")) {
    const number = tile.querySelector(".figure");
    const text = String(drawn[tile.dataset.group]);
    if (number.textContent !== text) number.textContent = text;
    tile.classList.toggle("none", text === "0");
    const isShort = tile.dataset.group === "workers"
      && status.workers.reachable < status.workers.total;
    tile.classList.toggle("short", isShort);
    if (tile.dataset.group === "draining") tile.hidden = counts.draining === 0;
  }
  let from = 0;
  for (const share of byId("shares").children) {
    const width = counts.total ? (counts[share.dataset.group] / counts.total) * 100 : 0;
    share.setAttribute("x", String(from));
    share.setAttribute("width", String(width));
    from += width;
  }
  byId("workers-count").textContent = String(status.workers.total);
  byId("workers-empty").hidden = status.workers.total > 0;
  const trouble = byId("trouble");
  const complaint = status.trouble ? `Control is in trouble: ${status.trouble}` : "";
  if (trouble.textContent !== complaint) trouble.textContent = complaint;
  trouble.hidden = !complaint;
  const broken = counts.broken ? `${counts.broken} broken, ` : "";
  document.title = `${broken}${counts.available} of ${counts.total} free – iCEFARM`;
  total = counts.total;
  asOf = status.now;
}

/* Messages. */

function take(message) {
  sync(message.status.now);
  summary(message.status);
  if (message.type === "snapshot") {
    if (!boards) begin();
    boards.reset(message.boards);
    workers.reset(message.workers);
    events.reset(message.events);
    if (dialog.serial) dialog.load();
  } else {
    keepFocus(message);
    events.add(message.events ?? []);
    const warnings = (message.events ?? []).filter((entry) => entry.warning);
    if (warnings.length) byId("said").textContent = warnings.at(-1).text;
  }
  count();
  tick();
}

/** Changes the rows. If the focus was on something that is not there any more, its row gets it. */
function keepFocus(message) {
  const focused = document.activeElement;
  const row = focused?.closest?.("tr[data-key]");
  const changed = message.boards ?? [];
  const gone = message.boards_gone ?? [];
  boards.update(changed, gone);
  workers.update(message.workers ?? [], message.workers_gone ?? []);
  dialog.changed([...changed.map((board) => board.serial), ...gone]);
  if (row && !focused.isConnected) {
    const place = row.isConnected ? row.querySelector("button") : byId("boards");
    place?.focus({ preventScroll: true });
  }
}

let nextTry = 0;

function connection(state, next) {
  const element = byId("connection");
  const before = element.dataset.state;
  element.dataset.state = state;
  byId("connection-text").textContent = state === "live" ? "Live" : "Not connected";
  byId("lost").hidden = state === "live";
  nextTry = next ?? 0;
  if (state === "lost") countdown();
  if (before === "lost" && state === "live") say("Connected again");
  if (before === "live" && state === "lost") {
    byId("said").textContent = "The connection to control is lost";
  }
}

function countdown() {
  if (byId("lost").hidden) return;
  const left = nextTry - Date.now();
  const when = left > 0 ? `Trying again in ${span(left + 999)}.` : "Trying again…";
  const seen = asOf ? ` What you see is from ${clock(asOf)}.` : "";
  byId("lost-text").textContent = `The connection to control is lost.${seen} ${when}`;
}

/* What people do. */

function act(deed, board) {
  const path = `v1/boards/${encodeURIComponent(board.serial)}/${deed}`;
  const body = board.lease ? { lease: board.lease.lease } : {};
  confirm(question(deed, board), () => post(path, body), say);
}

function forget(worker) {
  const path = `v1/workers/${encodeURIComponent(worker.name)}/forget`;
  confirm(questionOfWorker(worker), () => post(path, {}), say);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-deed]");
  if (!button) return;
  const key = button.closest("tr[data-key]")?.dataset.key ?? dialog.serial;
  const { deed } = button.dataset;
  if (deed === "forget") {
    const worker = workers.get(key);
    if (worker) forget(worker);
    return;
  }
  const board = boards.get(key);
  if (!board) return;
  if (deed === "show") dialog.open(board.serial);
  else if (deed !== "end" && deed !== "reboot" ? true : board.lease) act(deed, board);
});

byId("tiles").addEventListener("click", (event) => {
  const tile = event.target.closest("button[data-group]");
  if (!tile || !boards) return;
  const group = byId("group");
  group.value = group.value === tile.dataset.group ? "" : tile.dataset.group;
  filter();
});

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", filter);
byId("group").addEventListener("change", filter);
byId("sort").addEventListener("change", (event) => boards.sortBy(event.target.value, 1));

const THEMES = ["system", "light", "dark"];

function theme(name) {
  byId("theme-name").textContent = name;
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

byId("theme").hidden = false;
theme(document.documentElement.dataset.theme ?? "system");
byId("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(byId("theme-name").textContent) + 1) % THEMES.length];
  theme(next);
  try {
    localStorage.setItem("icefarm-theme", next);
  } catch {
    // It holds for this visit.
  }
});

const live = new Live(take, connection);
byId("retry").addEventListener("click", () => live.connect());
setInterval(() => {
  tick();
  countdown();
}, 1000);
