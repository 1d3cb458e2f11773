// What stands in the cells of the tables. The page says which columns there are, in which
// order, and by which one can sort; here is what is in them.
//
// A column has `sign(item)`, a text that changes whenever its cell does, and `fill(cell, item)`, or
// only `text(item)`; and `sort(item)`, if one can sort by it.

import { deedsOf, fillDeeds } from "./deeds.js";
import { CONTACTS, button, contactOf, groupOf, make, nameOf, reason, statusOf } from "./marks.js";
import { ago, until } from "./time.js";

/** The order of the groups: what needs somebody comes first. */
const URGENCY = ["broken", "offline", "draining", "preparing", "reserved", "available"];

const text = (value) => ({ text: value, sort: value });

const deeds = (of, key) => ({
  sign: (item) => deedsOf(of, item).join(),
  fill: (cell, item) => fillDeeds(cell, key(item), deedsOf(of, item)),
});

export const boardColumns = {
  serial: {
    sign: (board) => JSON.stringify([board.name, board.simulated]),
    fill: (cell, board) => {
      const serial = button(board.serial, "show", "link");
      serial.title = "Why it is where it is, and what happened to it";
      const tag = board.simulated ? make("span", "tag", "simulated") : null;
      const name = board.name ? make("span", "label", board.name) : null;
      cell.replaceChildren(make("span", "names", serial, name, tag));
    },
    sort: (board) => board.serial,
  },
  standing: {
    sign: ({ status, since, reason: why, lease }) => {
      return JSON.stringify([status, since, why, lease?.phase]);
    },
    fill: (cell, board) => {
      const since = board.since ? ago(board.since, "") : null;
      const starts = board.lease?.phase === "initializing" ? "is being made ready" : null;
      const line = make("span", "line", statusOf(board), since);
      cell.replaceChildren(...[line, reason(board.reason ?? starts)].filter(Boolean));
    },
    sort: (board) => URGENCY.indexOf(groupOf(board)),
  },
  holder: text((board) => board.lease?.client),
  kind: text((board) => board.lease?.kind),
  left: {
    sign: ({ lease }) => (lease ? `${lease.expires} ${lease.renewed_by_socket}` : ""),
    fill: (cell, { lease }) => {
      cell.replaceChildren();
      if (!lease) return;
      if (!lease.renewed_by_socket) {
        cell.append(until(lease.expires));
        return;
      }
      const kept = make("span", "kept", "kept by its client");
      kept.title = "Its client is there and renews it; without it, it would end in a minute";
      cell.append(kept);
    },
    sort: (board) => (board.lease ? Date.parse(board.lease.expires) : null),
  },
  worker: text((board) => board.worker),
  deeds: deeds("boards", (board) => board.serial),
};

export const workerColumns = {
  name: {
    sign: (worker) => worker.url,
    fill: (cell, worker) => {
      cell.replaceChildren(make("span", "label", worker.name), reason(worker.url));
    },
    sort: (worker) => worker.name,
  },
  contact: {
    sign: ({ contact, last_contact: last, refused, draining, stops }) => {
      return JSON.stringify([contact, last, refused, draining, stops]);
    },
    fill: (cell, worker) => {
      const line = make("span", "line", contactOf(worker), ago(worker.last_contact));
      const refused = worker.refused.length
        ? `reports boards of another worker: ${worker.refused.join(", ")}`
        : null;
      const out = worker.stops ? "is stopping" : worker.draining ? "an operator drains it" : null;
      const more = out ? `nothing new is placed on it: ${out}` : null;
      cell.replaceChildren(...[line, reason(more), reason(refused)].filter(Boolean));
    },
    sort: (worker) => CONTACTS.indexOf(worker.contact),
  },
  boards: { text: (worker) => String(worker.boards), sort: (worker) => worker.boards },
  version: text((worker) => worker.version),
  kinds: {
    sign: (worker) => JSON.stringify(worker.kinds),
    fill: (cell, worker) => {
      const kinds = worker.kinds.map((kind) => {
        return make("li", "", kind.kind, reason(`${kind.crate} ${kind.version}`));
      });
      cell.replaceChildren(make("ul", "", ...kinds));
    },
  },
  deeds: deeds("workers", (worker) => worker.name),
};

/** Which boards somebody waits for. */
function wants({ amount, serials, labels, simulated }) {
  const which = simulated === null ? "" : simulated ? " simulated" : " real";
  const boards = `${amount}${which} ${amount === 1 ? "board" : "boards"}`;
  const named = serials.length ? `: ${serials.join(", ")}` : "";
  const marked = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return boards + named + (marked.length ? ` with ${marked.join(", ")}` : "");
}

export const queueColumns = {
  name: {
    sign: ({ position, why }) => `${position} ${why}`,
    fill: (cell, { position, client, why }) => {
      const names = make("span", "names", `${position}. `, make("span", "label", client));
      cell.replaceChildren(...[names, reason(why)].filter(Boolean));
    },
    sort: (waiting) => waiting.position,
  },
  wants: { text: wants },
  kind: text((waiting) => waiting.kind),
  priority: { text: ({ priority }) => String(priority), sort: ({ priority }) => priority },
  waits: {
    sign: (waiting) => waiting.since,
    fill: (cell, waiting) => cell.replaceChildren(ago(waiting.since, "")),
    sort: (waiting) => Date.parse(waiting.since),
  },
  left: {
    sign: (waiting) => waiting.expires,
    fill: (cell, waiting) => cell.replaceChildren(until(waiting.expires)),
    sort: (waiting) => Date.parse(waiting.expires),
  },
  deeds: deeds("queue", (waiting) => waiting.client),
};

/** Everything that can be searched for in a board. */
export function wordsOf(board) {
  const { serial, name, worker, reason: why, status, simulated, lease } = board;
  const words = [serial, name, worker, why, status, nameOf(board), lease?.client, lease?.kind];
  return [...words, simulated ? "simulated" : "real"].join(" ").toLowerCase();
}
