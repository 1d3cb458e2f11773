// What stands in the cells: boards, workers, events. Text from the farm is only ever set as text.

import { ago, until } from "./time.js";

/** The statuses of the wire: what people call them, and which of the six groups they are in. */
const STATUS = {
  available: ["Available", "available"],
  reserved: ["Reserved", "reserved"],
  await_flash_default: ["Waits for firmware", "preparing"],
  flashing_default: ["Being flashed", "preparing"],
  testing: ["Being tested", "preparing"],
  broken: ["Broken", "broken"],
  offline: ["Offline", "offline"],
  draining: ["Draining", "draining"],
};
/** The order of the groups: what needs somebody comes first. */
const URGENCY = ["broken", "offline", "draining", "preparing", "reserved", "available"];

const CONTACT = {
  reachable: ["Reachable", "available"],
  awaited: ["Awaited", "preparing"],
  unreachable: ["Unreachable", "broken"],
  lost: ["Lost", "broken"],
};

export function groupOf(board) {
  return (STATUS[board.status] ?? [board.status, "draining"])[1];
}

/** An element with text or other elements in it. */
export function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

function symbol(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "symbol");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#s-${name}`);
  svg.append(use);
  return svg;
}

function badge([text, group]) {
  const element = make("span", "status", symbol(group), text);
  element.dataset.group = group;
  return element;
}

export function statusOf(board) {
  return badge(STATUS[board.status] ?? [board.status, "draining"]);
}

function button(text, deed, className) {
  const element = make("button", className ?? "quiet", text);
  element.type = "button";
  element.dataset.deed = deed;
  return element;
}

/** What an operator can do to a board as it is. */
export function deedsOf(board, everything) {
  const stuck = ["broken", "offline"].includes(groupOf(board));
  return [
    ...(board.lease ? ["end", "reboot"] : []),
    ...(stuck || everything ? ["delete"] : []),
  ];
}

const DEED_NAMES = { end: "End", reboot: "Reboot", delete: "Delete", forget: "Forget" };

/** A button for each deed; ones that are there stay, so that they keep the focus. */
export function fillDeeds(cell, serial, deeds) {
  const present = new Map([...cell.children].map((child) => [child.dataset.deed, child]));
  for (const [deed, child] of present) if (!deeds.includes(deed)) child.remove();
  for (const deed of deeds) {
    const child = present.get(deed) ?? button(DEED_NAMES[deed], deed);
    child.setAttribute("aria-label", `${DEED_NAMES[deed]} ${serial}`);
    if (child.parentElement !== cell) cell.append(child);
  }
}

const text = (value) => (cell, item) => {
  cell.textContent = value(item) ?? "";
};

export const boardColumns = [
  {
    isHead: true,
    className: "serial",
    sign: (board) => `${board.name} ${board.simulated}`,
    fill: (cell, board) => {
      const name = button(board.serial, "show", "link");
      name.title = "Why it is where it is, and what happened to it";
      const tag = board.simulated ? make("span", "tag", "simulated") : null;
      cell.replaceChildren(make("span", "names", name, board.name ?? null, tag));
    },
  },
  {
    className: "standing",
    sign: (board) => `${board.status} ${board.since} ${board.reason} ${board.lease?.phase}`,
    fill: (cell, board) => {
      const line = make("span", "line", statusOf(board), board.since ? ago(board.since, "") : null);
      const starting = board.lease?.phase === "initializing" ? "is being made ready" : null;
      const reason = board.reason ?? starting;
      cell.replaceChildren(line, ...(reason ? [make("span", "reason", reason)] : []));
    },
  },
  {
    className: "holder",
    label: "Holder",
    sign: (board) => board.lease?.client ?? "",
    fill: text((board) => board.lease?.client),
  },
  {
    className: "kind",
    label: "Kind",
    sign: (board) => board.lease?.kind ?? "",
    fill: text((board) => board.lease?.kind),
  },
  {
    className: "left number",
    label: "Time left",
    sign: (board) => (board.lease ? `${board.lease.expires} ${board.lease.renewed_by_socket}` : ""),
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
  },
  {
    className: "worker",
    label: "Worker",
    sign: (board) => board.worker,
    fill: text((board) => board.worker),
  },
  {
    className: "deeds",
    sign: (board) => deedsOf(board).join(),
    fill: (cell, board) => fillDeeds(cell, board.serial, deedsOf(board)),
  },
];

export const boardSorts = {
  serial: (board) => board.serial,
  status: (board) => URGENCY.indexOf(groupOf(board)),
  holder: (board) => board.lease?.client,
  kind: (board) => board.lease?.kind,
  left: (board) => (board.lease ? Date.parse(board.lease.expires) : null),
  worker: (board) => board.worker,
};

/** Everything that can be searched for in a board. */
export function wordsOf(board) {
  const { serial, name, worker, reason, status, simulated, lease } = board;
  const words = [serial, name, worker, reason, status, simulated ? "simulated" : "real"];
  return [...words, STATUS[status]?.[0], lease?.client, lease?.kind].join(" ").toLowerCase();
}

export const workerColumns = [
  {
    isHead: true,
    className: "name",
    sign: (worker) => worker.url,
    fill: (cell, worker) => {
      cell.replaceChildren(make("span", "", worker.name), make("span", "reason", worker.url));
    },
  },
  {
    className: "contact",
    sign: (worker) => `${worker.contact} ${worker.last_contact} ${worker.refused}`,
    fill: (cell, worker) => {
      const contact = CONTACT[worker.contact] ?? [worker.contact, "draining"];
      const line = make("span", "line", badge(contact), ago(worker.last_contact));
      const refused = worker.refused.length
        ? make("span", "reason", `reports boards of another worker: ${worker.refused.join(", ")}`)
        : null;
      cell.replaceChildren(line, ...(refused ? [refused] : []));
    },
  },
  {
    className: "number",
    label: "Boards",
    sign: (worker) => String(worker.boards),
    fill: text((worker) => String(worker.boards)),
  },
  {
    className: "version",
    label: "Version",
    sign: (worker) => worker.version,
    fill: text((worker) => worker.version),
  },
  {
    className: "kinds",
    label: "Kinds",
    sign: (worker) => JSON.stringify(worker.kinds),
    fill: (cell, worker) => {
      const kinds = worker.kinds.map((kind) =>
        make("li", "", kind.kind, make("span", "reason", `${kind.crate} ${kind.version}`)),
      );
      cell.replaceChildren(make("ul", "", ...kinds));
    },
  },
  {
    className: "deeds",
    sign: (worker) => worker.contact,
    fill: (cell, worker) => {
      const isGone = ["unreachable", "lost"].includes(worker.contact);
      fillDeeds(cell, worker.name, isGone ? ["forget"] : []);
    },
  },
];

export const workerSorts = {
  name: (worker) => worker.name,
  contact: (worker) => Object.keys(CONTACT).indexOf(worker.contact),
  boards: (worker) => worker.boards,
  version: (worker) => worker.version,
};

/** One thing that happened, as an item of a list. */
export function eventItem(entry) {
  const mark = symbol(entry.warning ? "warning" : "event");
  const said = make("span", "what", entry.warning ? make("span", "unseen", "Warning: ") : null);
  said.append(entry.text);
  const item = make("li", entry.warning ? "warning" : "", mark, said, ago(entry.at));
  item.dataset.seq = String(entry.seq);
  return item;
}
