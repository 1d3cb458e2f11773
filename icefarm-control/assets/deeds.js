// What an operator can do to boards and workers. A deed is one entry here.

import { button } from "./marks.js";

/**
 * Of each deed: what its button says; `of`, what it is done to; `fits(item, isInFull)`, whether it
 * is offered, in the table or where everything about a board is shown; and `ask(item)`, what is
 * asked before it and said after it.
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
  const key = encodeURIComponent(item.serial ?? item.name);
  return [`v1/${DEEDS[deed].of}/${key}/${deed}`, item.lease ? { lease: item.lease.lease } : {}];
}
