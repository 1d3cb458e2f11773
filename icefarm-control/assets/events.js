// The list of what happened, the newest first.

import { eventItem } from "./marks.js";

/** How many entries are kept in the page. */
const KEPT = 400;

const FITS = {
  usual: (entry) => entry.warning || entry.what !== "board_status",
  all: () => true,
  warnings: (entry) => entry.warning,
};

export class Events {
  constructor(list, choice, empty) {
    this.list = list;
    this.choice = choice;
    this.empty = empty;
    this.entries = [];
    choice.addEventListener("change", () => this.draw());
  }

  reset(entries) {
    this.entries = [...entries];
    this.draw();
  }

  add(entries) {
    this.entries.push(...entries);
    this.entries.splice(0, this.entries.length - KEPT);
    const shown = entries.filter(FITS[this.choice.value]);
    if (!shown.length) return;
    // Who reads further down is not pushed away: the browser keeps what is in sight.
    this.list.prepend(...shown.map(eventItem).reverse());
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
    this.empty.hidden = true;
  }

  draw() {
    const shown = this.entries.filter(FITS[this.choice.value]);
    this.list.replaceChildren(...shown.map(eventItem).reverse());
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = this.entries.length
      ? "Nothing of this sort has happened lately."
      : "Nothing has happened yet.";
  }
}
