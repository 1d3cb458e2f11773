// Whether the page is up to date, and what it says if it is not.

import { clock, span } from "./time.js";

const byId = (id) => document.getElementById(id);

export class Connection {
  /** `say` tells the user that it is there again. */
  constructor(say) {
    this.say = say;
    this.nextTry = 0;
    /** When the farm was as it is shown, by control's clock. */
    this.asOf = "";
  }

  /** It is `live` or `lost`, and is tried again at the time `next`. */
  become(state, next = 0) {
    const element = byId("connection");
    const before = element.dataset.state;
    element.dataset.state = state;
    byId("connection-text").textContent = state === "live" ? "Live" : "Not connected";
    this.nextTry = next;
    this.show();
    if (before === "lost" && state === "live") this.say("Connected again");
    if (before === "live" && state === "lost") {
      byId("said").textContent = "The connection to control is lost";
    }
  }

  /** Counts down to the next attempt. */
  show() {
    const isLost = byId("connection").dataset.state === "lost";
    const hadFocus = byId("lost").contains(document.activeElement);
    byId("lost").hidden = !isLost;
    // The button to try again is gone with what it was for.
    if (!isLost && hadFocus) byId("boards").focus({ preventScroll: true });
    if (!isLost) return;
    const left = this.nextTry - Date.now();
    const when = left > 0 ? `Trying again in ${span(left + 999)}.` : "Trying again…";
    const seen = this.asOf ? ` What you see is from ${clock(this.asOf)}.` : "";
    byId("lost-text").textContent = `The connection to control is lost.${seen} ${when}`;
  }
}
