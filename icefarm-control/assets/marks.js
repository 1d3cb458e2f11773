// Small pieces that everything is made of. Text from the farm is only ever set as text.

import { ago } from "./time.js";

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

const CONTACT = {
  reachable: ["Reachable", "available"],
  awaited: ["Awaited", "preparing"],
  unreachable: ["Unreachable", "broken"],
  lost: ["Lost", "broken"],
  left: ["Stopped", "offline"],
};

/** The contacts in the order of their urgency, the best first. */
export const CONTACTS = Object.keys(CONTACT);

function standing(board) {
  // A server that is newer than this page may know more of them.
  return STATUS[board.status] ?? [board.status, "draining"];
}

export const nameOf = (board) => standing(board)[0];
export const groupOf = (board) => standing(board)[1];
export const statusOf = (board) => badge(standing(board));
export const contactOf = ({ contact }) => badge(CONTACT[contact] ?? [contact, "draining"]);

/** An element with text or other elements in it; what is missing is left out. */
export function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

export function button(text, deed, className = "quiet") {
  const element = make("button", className, text);
  element.type = "button";
  element.dataset.deed = deed;
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

/** A symbol and a word in one colour. */
function badge([text, group]) {
  const element = make("span", "status", symbol(group), text);
  element.dataset.group = group;
  return element;
}

/** The second line of a cell, if there is anything to say. */
export function reason(text) {
  return text ? make("span", "reason", text) : null;
}

/** One thing that happened, as an item of a list. */
export function eventItem(entry) {
  const mark = symbol(entry.warning ? "warning" : "event");
  const said = make("span", "what", entry.warning ? make("span", "unseen", "Warning: ") : null);
  said.append(entry.text);
  const item = make("li", entry.warning ? "warning" : "", mark, said, ago(entry.at));
  item.dataset.seq = String(entry.seq);
  return item;
}
