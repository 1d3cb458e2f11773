// The two dialogs: one asks before something is done, one tells everything about a board.

import { deedsOf, fillDeeds } from "./deeds.js";
import { keepingFocus, openDialog } from "./focus.js";
import { eventItem, make, statusOf } from "./marks.js";
import { logIn } from "./session.js";
import { ago, clock, until } from "./time.js";

const byId = (id) => document.getElementById(id);

/** Sends something to control; what it answers in words is the error. */
async function send(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), options);
  } catch {
    throw new Error("control cannot be reached, so that it is not known whether it was done");
  }
  if (answer.status === 401) logIn();
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error?.message ?? `control answered ${answer.status}`);
  return body;
}

export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Which question is the present one: an answer to an earlier one must not close it. */
let asked = 0;

/** Asks, and does `act` if the answer is yes. Tells what became of it by `say`. */
export function confirm({ title, text, yes, done }, act, say) {
  const dialog = byId("confirm");
  const [button, failure] = [byId("confirm-yes"), byId("confirm-failure")];
  const number = ++asked;
  const isOpen = () => dialog.open && number === asked;
  // A button that is disabled would lose the focus.
  const work = (isWorking) => button.setAttribute("aria-disabled", String(isWorking));
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  button.textContent = yes;
  work(false);
  failure.hidden = true;
  button.onclick = async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    work(true);
    failure.hidden = true;
    try {
      await act();
      if (isOpen()) dialog.close("done");
      say(done);
    } catch (error) {
      const what = `That did not work: ${error.message}.`;
      if (!isOpen()) {
        say(what);
        return;
      }
      failure.textContent = what;
      failure.hidden = false;
      work(false);
    }
  };
  openDialog(dialog);
}

/** Everything about one board, kept up to date while it is open. */
export class BoardDialog {
  constructor() {
    this.dialog = byId("board");
    this.serial = null;
    /** The board as it is shown. */
    this.board = null;
    /** How often it was asked for: only the last answer counts. */
    this.asked = 0;
    this.dialog.addEventListener("close", () => {
      this.serial = this.board = null;
    });
  }

  open(serial) {
    this.serial = serial;
    byId("board-title").textContent = serial;
    byId("board-why").textContent = "…";
    for (const id of ["board-status", "board-facts", "board-history", "board-actions"]) {
      byId(id).replaceChildren();
    }
    openDialog(this.dialog);
    this.load();
  }

  /** Something changed; if it is this board, it is told anew. */
  changed(serials) {
    if (this.serial && serials.includes(this.serial)) this.load();
  }

  async load() {
    const serial = this.serial;
    const number = ++this.asked;
    let board = null;
    let failure = null;
    try {
      board = await send(`v1/boards/${encodeURIComponent(serial)}`);
    } catch (error) {
      failure = error;
    }
    // Another one may have been opened meanwhile, or this one asked for anew.
    if (serial !== this.serial || number !== this.asked) return;
    keepingFocus(() => {
      this.board = board;
      if (board) {
        this.show(board);
      } else {
        byId("board-why").textContent = `${failure.message}.`;
        byId("board-actions").replaceChildren();
      }
    });
  }

  show(board) {
    const since = board.since ? ago(board.since, "") : null;
    byId("board-status").replaceChildren(statusOf(board), ...(since ? [" for ", since] : []));
    byId("board-why").textContent = board.why;
    const rows = facts(board).flatMap(([name, ...value]) => [
      make("dt", "", name),
      make("dd", "", ...value),
    ]);
    byId("board-facts").replaceChildren(...rows);
    byId("board-history").replaceChildren(...board.history.map(eventItem));
    fillDeeds(byId("board-actions"), board.serial, deedsOf("boards", board, true));
  }
}

/** What is told of a board, each with its name. */
function facts(board) {
  const { lease } = board;
  const all = [
    ["Name", board.name],
    ["Worker", board.worker],
    ["Address", board.worker_url ?? "not known"],
    ["Last contact", board.last_contact ? ago(board.last_contact) : "never"],
    ["Its worker says", board.reported],
    ["Kinds", board.kinds.join(", ") || "none"],
    ["Simulated", board.simulated ? "yes" : "no"],
  ];
  for (const [key, value] of Object.entries(board.labels ?? {})) all.push([`Label ${key}`, value]);
  if (lease) {
    all.push(
      ["Holder", lease.client],
      ["Kind", lease.kind],
      ["Arguments", lease.args.join(", ") || "none"],
      ["Lease", String(lease.lease)],
      ["Since", clock(lease.since)],
      ["Ends in", until(lease.expires), lease.renewed_by_socket ? ", kept by its client" : null],
      ["Reservation", lease.reservation],
    );
  } else if (board.last_lease) {
    all.push(["Last lease", `${board.last_lease.lease}, for ${board.last_lease.kind}`]);
  }
  return all.filter(([, value]) => value !== null && value !== undefined);
}
