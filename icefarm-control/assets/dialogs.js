// The two dialogs: one asks before something is done, one tells everything about a board.

import { ago, clock, until } from "./time.js";
import { deedsOf, eventItem, fillDeeds, make, statusOf } from "./rows.js";

const byId = (id) => document.getElementById(id);

/** Sends something to control; what it answers in words is the error. */
async function send(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), options);
  } catch {
    throw new Error("control cannot be reached; nothing was done");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error?.message ?? `control answered ${answer.status}`);
  return body;
}

export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** What is asked before a deed, and what is said after it. */
export function question(deed, board) {
  const { serial, lease } = board;
  const holder = lease ? lease.client : "";
  switch (deed) {
    case "end":
      return {
        title: `End the lease on ${serial}?`,
        text:
          `${holder} holds it for ${lease.kind} and is told that an operator ended it. What is ` +
          "queued on the board is lost; the board is then made ready for the next one.",
        yes: "End the lease",
        done: `${holder}’s lease on ${serial} was ended`,
      };
    case "reboot":
      return {
        title: `Reboot ${serial}?`,
        text: `${holder} keeps it. What it is measuring just now is measured again.`,
        yes: "Reboot",
        done: `${serial} reboots`,
      };
    case "delete":
      return {
        title: `Delete ${serial}?`,
        text:
          (lease ? `${holder}’s lease on it ends as failed. ` : "") +
          "The board is taken out of the farm. If it is still plugged to a worker that answers, " +
          "it comes back, is flashed and tested anew.",
        yes: "Delete",
        done: `${serial} was deleted`,
      };
  }
}

export function questionOfWorker(worker) {
  const boards = worker.boards === 1 ? "its board" : `its ${worker.boards} boards`;
  return {
    title: `Forget the worker ${worker.name}?`,
    text:
      `It cannot be reached. It is taken out of the farm with ${boards}, and leases on them end. ` +
      "If it is started again, it comes back by itself.",
    yes: "Forget",
    done: `${worker.name} was forgotten`,
  };
}

/** Asks, and does `act` if the answer is yes. Tells what was done by `say`. */
export function confirm({ title, text, yes, done }, act, say) {
  const dialog = byId("confirm");
  const [button, failure] = [byId("confirm-yes"), byId("confirm-failure")];
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  button.textContent = yes;
  button.disabled = false;
  failure.hidden = true;
  button.onclick = async () => {
    button.disabled = true;
    try {
      await act();
      dialog.close("done");
      say(done);
    } catch (error) {
      failure.textContent = `That did not work: ${error.message}.`;
      failure.hidden = false;
      button.disabled = false;
    }
  };
  dialog.showModal();
}

/** Everything about one board, kept up to date while it is open. */
export class BoardDialog {
  constructor() {
    this.dialog = byId("board");
    this.dialog.addEventListener("close", () => {
      this.serial = null;
    });
  }

  open(serial) {
    this.serial = serial;
    byId("board-title").textContent = serial;
    byId("board-status").replaceChildren();
    byId("board-why").textContent = "…";
    byId("board-facts").replaceChildren();
    byId("board-history").replaceChildren();
    byId("board-actions").replaceChildren();
    this.dialog.showModal();
    this.load();
  }

  /** Something changed; if it is this board, it is told anew. */
  changed(serials) {
    if (this.serial && serials.includes(this.serial)) this.load();
  }

  async load() {
    const serial = this.serial;
    let board;
    try {
      board = await send(`v1/boards/${encodeURIComponent(serial)}`);
    } catch (error) {
      if (serial !== this.serial) return;
      byId("board-why").textContent = `${error.message}.`;
      byId("board-actions").replaceChildren();
      return;
    }
    // Another one may have been opened meanwhile.
    if (serial === this.serial) this.show(board);
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
    fillDeeds(byId("board-actions"), board.serial, deedsOf(board, true));
  }
}

function facts(board) {
  const { lease } = board;
  const all = [
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
      ["Since", `${clock(lease.since)}`],
      ["Ends in", until(lease.expires), lease.renewed_by_socket ? ", kept by its client" : null],
      ["Reservation", lease.reservation],
    );
  } else if (board.last_lease) {
    all.push(["Last lease", `${board.last_lease.lease}, for ${board.last_lease.kind}`]);
  }
  return all;
}
