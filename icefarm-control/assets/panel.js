// The panel: puts the parts together. What the server has drawn stays until the first message.

import { boardColumns, queueColumns, workerColumns } from "./columns.js";
import { Connection } from "./connection.js";
import { DEEDS, requestOf } from "./deeds.js";
import { BoardDialog, confirm, post } from "./dialogs.js";
import { Events } from "./events.js";
import { Filters } from "./filters.js";
import { keepingFocus } from "./focus.js";
import { Live } from "./live.js";
import { groupOf } from "./marks.js";
import { logInIfNeeded } from "./session.js";
import { showFigures, showTroubles } from "./summary.js";
import { KeyedTable } from "./tables.js";
import { sync, tick } from "./time.js";

const byId = (id) => document.getElementById(id);

let boards = null;
let workers = null;
let queue = null;
let filters = null;
const events = new Events(byId("events"), byId("events-shown"), byId("events-empty"));
const dialog = new BoardDialog();
const connection = new Connection(say);

/** Says something to who does not see the page, and shows it for a while to who does. */
function say(text) {
  byId("said").textContent = text;
  const toast = byId("toast");
  toast.textContent = text;
  // Shown anew, it is above a dialog that was opened meanwhile.
  toast.hidePopover();
  toast.showPopover();
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.hidePopover(), 6000);
}

/** Draws the tables anew, with everything that needs scripting. */
function begin() {
  boards = new KeyedTable(byId("boards"), {
    columns: boardColumns,
    key: (board) => board.serial,
    mark: (row, board) => (row.dataset.group = groupOf(board)),
  });
  workers = new KeyedTable(byId("workers-table"), {
    columns: workerColumns,
    key: (worker) => worker.name,
    mark: (row, worker) => (row.dataset.contact = worker.contact),
  });
  queue = new KeyedTable(byId("queue"), {
    columns: queueColumns,
    key: (waiting) => waiting.reservation,
  });
  filters = new Filters(boards);
  byId("event-filters").hidden = false;
}

function take(message) {
  sync(message.status.now);
  connection.asOf = message.status.now;
  if (!boards) begin();
  keepingFocus(() => {
    if (message.type === "snapshot") {
      boards.reset(message.boards);
      workers.reset(message.workers);
      line(message.queue);
      events.reset(message.events);
      if (dialog.serial) dialog.load();
      return;
    }
    const { boards: changed = [], boards_gone: gone = [] } = message;
    boards.update(changed, gone);
    workers.update(message.workers ?? [], message.workers_gone ?? []);
    if (message.queue) line(message.queue);
    dialog.changed([...changed.map((board) => board.serial), ...gone]);
    events.add(message.events ?? []);
    const warnings = (message.events ?? []).filter((entry) => entry.warning);
    if (warnings.length) byId("said").textContent = warnings.at(-1).text;
  });
  showFigures(message.status);
  showTroubles(boards, workers);
  filters.count();
  tick();
}

/** The queue always comes whole. */
function line(waiting) {
  queue.reset(waiting);
  byId("queue-count").textContent = String(waiting.length);
  byId("waiting").hidden = waiting.length === 0;
}

/** What a button is for: in the dialog the board that it shows, else what its row is of. */
function subject(button, of) {
  if (byId("board-actions").contains(button)) return dialog.board;
  const key = button.closest("[data-key]")?.dataset.key;
  return { boards, workers, queue }[of]?.get(key);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-deed]");
  if (!button) return;
  const { deed } = button.dataset;
  if (deed === "show") {
    dialog.open(button.closest("[data-key]").dataset.key);
    return;
  }
  const item = subject(button, DEEDS[deed].of);
  if (item) confirm(DEEDS[deed].ask(item), () => post(...requestOf(deed, item)), say);
});

const live = new Live(take, (state, next) => {
  connection.become(state, next);
  if (state === "lost") logInIfNeeded();
});
byId("retry").addEventListener("click", () => live.connect());
setInterval(() => {
  tick();
  connection.show();
}, 1000);
