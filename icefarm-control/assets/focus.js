// The focus is never lost: if what has it goes away, something near by gets it.

/** What may take the focus of something in it that goes away, or names what may. */
const HOME = "dialog, table, [data-home]";

/** Whether nothing has the focus, or what nobody sees: a dialog that was closed keeps it a moment. */
function isLost() {
  const focused = document.activeElement;
  return !focused || focused === document.body || !focused.checkVisibility();
}

/** A place where the focus was. */
export class Place {
  constructor(element = document.activeElement) {
    this.element = element;
    this.row = element?.closest("[data-key]");
    // The nearest first; what comes and goes itself names another home.
    this.homes = [];
    for (let home = element?.closest(HOME); home; home = home.parentElement?.closest(HOME)) {
      this.homes.push(home.matches("dialog") ? home.querySelector("[autofocus]") : home);
      if (home.dataset.home) this.homes.push(document.getElementById(home.dataset.home));
    }
  }

  /** Brings the focus back here if it is nowhere else. */
  restore() {
    if (!this.homes.length || !isLost()) return;
    const inRow = this.row?.isConnected ? this.row.querySelector("button") : null;
    for (const candidate of [this.element, inRow, ...this.homes]) {
      candidate?.focus({ preventScroll: true });
      if (!isLost()) return;
    }
  }
}

/** Changes the page; the focus stays where it is, or near by. */
export function keepingFocus(change) {
  const place = new Place();
  change();
  place.restore();
}

/** Opens a dialog. When it is closed, the focus goes back to where it was, or near by. */
export function openDialog(dialog) {
  const place = new Place();
  // The browser itself gives it back to what had it, if that is still there.
  dialog.addEventListener("close", () => place.restore(), { once: true });
  dialog.showModal();
}
