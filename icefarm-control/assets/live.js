// The websocket: a snapshot, then what changes. It comes back by itself when it is lost.

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;
/** Control says something every 15 seconds, whatever happens. */
const SILENCE = 45000;

export class Live {
  /**
   * `onMessage` is given every message, `onState` is told `live` or `lost` with the time of the
   * next attempt.
   */
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.pause = FIRST_PAUSE;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.isLive) this.connect();
    });
    window.addEventListener("online", () => this.connect());
    this.connect();
  }

  /** Tries now. */
  connect() {
    clearTimeout(this.timer);
    this.drop();
    const url = new URL("v1/live", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    this.listen();
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.listen();
      if (!this.isLive) {
        this.isLive = true;
        this.pause = FIRST_PAUSE;
        this.onState("live");
      }
      this.onMessage(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.socket) this.lost();
    });
  }

  /** A socket can die without a word, as when a cable is pulled. */
  listen() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lost(), SILENCE);
  }

  drop() {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  lost() {
    this.drop();
    this.isLive = false;
    // Pages that lost the same server must not all come back in the same moment.
    const pause = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    this.onState("lost", Date.now() + pause);
    this.timer = setTimeout(() => this.connect(), pause);
  }
}
