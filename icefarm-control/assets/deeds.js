// What an operator can do to boards, workers and who waits. A deed is one entry here.

import { button } from "./marks.js";

/**
 * Of each deed: what its button says; `of`, what it is done to; `fits(item, isInFull)`, whether it
 * is offered, in the table or where everything about a board is shown; and `ask(item)`, what is
 * asked before it and said after it. It is posted to the path of its name, or to `path`, with the
 * lease that the operator saw, or with `body`; or where `request(item)` says.
 */
export const DEEDS = {
  end: {
    name: "End",
    of: "boards",
    fits: (board) => Boolean(board.lease),
    ask: ({ serial, lease }) => ({
      title: `End the lease on ${serial}?`,
      text:
        `${lease.client} holds it for ${lease.kind} and is told that an operator ended it. What ` +
        "is queued on the board is lost; the board is then made ready for the next one.",
      yes: "End the lease",
      done: `${lease.client}’s lease on ${serial} was ended`,
    }),
  },
  reboot: {
    name: "Reboot",
    of: "boards",
    fits: (board) => Boolean(board.lease),
    ask: ({ serial, lease }) => ({
      title: `Reboot ${serial}?`,
      text: `${lease.client} keeps it. What it is measuring just now is measured again.`,
      yes: "Reboot",
      done: `${serial} reboots`,
    }),
  },
  drain: {
    name: "Drain",
    of: "boards",
    fits: (board, isInFull) => isInFull && !board.drained,
    body: { on: true },
    ask: ({ serial, lease }) => ({
      title: `Take ${serial} out of service?`,
      text:
        "Nothing new is placed on it until it is taken back. " +
        (lease ? `${lease.client} keeps it until the lease ends, and is told.` : "Nobody holds it."),
      yes: "Drain",
      done: `${serial} goes out of service`,
    }),
  },
  undrain: {
    name: "Undrain",
    of: "boards",
    fits: (board) => board.drained,
    path: "drain",
    body: { on: false },
    ask: ({ serial }) => ({
      title: `Take ${serial} back into service?`,
      text: "It can be reserved again, if its worker is in service too.",
      yes: "Undrain",
      done: `${serial} is back in service`,
    }),
  },
  delete: {
    name: "Delete",
    of: "boards",
    fits: (board, isInFull) => isInFull || ["broken", "offline"].includes(board.status),
    ask: ({ serial, lease }) => ({
      title: `Delete ${serial}?`,
      text:
        (lease ? `${lease.client}’s lease on it ends as failed. ` : "") +
        "The board is taken out of the farm. If it is still plugged to a worker that answers, " +
        "it comes back, is flashed and tested anew.",
      yes: "Delete",
      done: `${serial} was deleted`,
    }),
  },
  drain_worker: {
    name: "Drain",
    of: "workers",
    fits: (worker) => !worker.draining,
    path: "drain",
    body: { on: true },
    ask: ({ name, boards }) => ({
      title: `Take the worker ${name} out of service?`,
      text:
        `Nothing new is placed on ${boards === 1 ? "its board" : `its ${boards} boards`} until it ` +
        "is taken back. Who holds a board keeps it until the lease ends, and is told.",
      yes: "Drain",
      done: `${name} goes out of service`,
    }),
  },
  undrain_worker: {
    name: "Undrain",
    of: "workers",
    fits: (worker) => worker.draining,
    path: "drain",
    body: { on: false },
    ask: ({ name }) => ({
      title: `Take the worker ${name} back into service?`,
      text: "Its boards can be reserved again, but for those that are drained themselves.",
      yes: "Undrain",
      done: `${name} is back in service`,
    }),
  },
  forget: {
    name: "Forget",
    of: "workers",
    fits: (worker) => ["unreachable", "lost", "left"].includes(worker.contact),
    ask: ({ name, boards }) => ({
      title: `Forget the worker ${name}?`,
      text:
        "It cannot be reached. It is taken out of the farm with " +
        `${boards === 1 ? "its board" : `its ${boards} boards`}, and leases on them end. ` +
        "If it is started again, it comes back by itself.",
      yes: "Forget",
      done: `${name} was forgotten`,
    }),
  },
  cancel: {
    name: "Take out",
    of: "queue",
    fits: () => true,
    ask: ({ client, amount }) => ({
      title: `Take ${client} out of the queue?`,
      text:
        `${client} waits for ${amount === 1 ? "a board" : `${amount} boards`} and is told that ` +
        "an operator ended it. What it holds already stays with it.",
      yes: "Take out",
      done: `${client} does not wait any more`,
    }),
    request: ({ reservation }) => ["v1/queue/cancel", { reservation }],
  },
};

/** The deeds that are offered for a board or a worker as it is. */
export function deedsOf(of, item, isInFull = false) {
  return Object.keys(DEEDS).filter((deed) => {
    return DEEDS[deed].of === of && DEEDS[deed].fits(item, isInFull);
  });
}

/** A button for each deed; ones that are there stay, so that they keep the focus. */
export function fillDeeds(cell, key, deeds) {
  const present = new Map([...cell.children].map((child) => [child.dataset.deed, child]));
  for (const [deed, child] of present) if (!deeds.includes(deed)) child.remove();
  for (const deed of deeds) {
    const child = present.get(deed) ?? button(DEEDS[deed].name, deed);
    child.setAttribute("aria-label", `${DEEDS[deed].name} ${key}`);
    // Also puts those that stayed into their order.
    if (child !== cell.children[deeds.indexOf(deed)]) {
      cell.insertBefore(child, cell.children[deeds.indexOf(deed)] ?? null);
    }
  }
}

/** Where a deed is posted to, and the lease that the operator saw: it is done to no other. */
export function requestOf(deed, item) {
  const { of, path = deed, body, request } = DEEDS[deed];
  if (request) return request(item);
  const key = encodeURIComponent(item.serial ?? item.name);
  return [`v1/${of}/${key}/${path}`, body ?? (item.lease ? { lease: item.lease.lease } : {})];
}
