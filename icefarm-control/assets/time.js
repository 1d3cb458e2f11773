// Times, told by control's clock: the one of this machine may be wrong.

let offset = 0;

/** Takes the present time of control, as it came with a message. */
export function sync(text) {
  offset = Date.parse(text) - Date.now();
}

export function now() {
  return Date.now() + offset;
}

/** How long something has been so: `12 s`, `3 min`, `2 h 05 min`, `4 d`. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 1) return `${seconds} s`;
  if (hours < 1) return `${minutes} min`;
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d`;
}

/** How much time is left: to the second in the last hour. */
function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return span(ms);
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** The wall time of this machine's zone, for tooltips and notices. */
export function clock(text) {
  return new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}

/** An element that tells how long ago a moment was, and goes on doing so. */
export function ago(text, suffix = " ago") {
  const element = document.createElement("time");
  element.dateTime = text;
  element.title = clock(text);
  element.dataset.since = String(Date.parse(text));
  element.dataset.suffix = suffix;
  show(element);
  return element;
}

/** An element that counts down to a moment. */
export function until(text) {
  const element = document.createElement("time");
  element.dateTime = text;
  element.title = clock(text);
  element.dataset.until = String(Date.parse(text));
  show(element);
  return element;
}

function show(element) {
  const { since, until, suffix } = element.dataset;
  const text = since ? span(now() - Number(since)) + suffix : left(Number(until) - now());
  if (element.textContent !== text) element.textContent = text;
}

/** Brings all times of the page up to date. */
export function tick() {
  document.querySelectorAll("time[data-since], time[data-until]").forEach(show);
}
