// The top of the page: how many boards are in which group, and what needs somebody.

import { contactOf, make, reason, statusOf, button } from "./marks.js";
import { keepingFocus } from "./focus.js";
import { ago } from "./time.js";

const byId = (id) => document.getElementById(id);

/** So many are named; the rest is counted. */
const NAMED = 5;

export function showFigures(status) {
  const { boards: counts, workers } = status;
  const drawn = { ...counts, workers: `${workers.reachable}/${workers.total}` };
  for (const tile of document.querySelectorAll("#tiles > [data-group]")) {
    const { group } = tile.dataset;
    const number = tile.querySelector(".figure");
    const text = String(drawn[group]);
    if (number.textContent !== text) number.textContent = text;
    tile.classList.toggle("none", text === "0");
    tile.classList.toggle("short", group === "workers" && workers.reachable < workers.total);
    if (group === "draining") tile.hidden = counts.draining === 0;
  }
  let from = 0;
  for (const share of byId("shares").children) {
    const width = counts.total ? (counts[share.dataset.group] / counts.total) * 100 : 0;
    share.setAttribute("x", String(from));
    share.setAttribute("width", String(width));
    from += width;
  }
  byId("workers-count").textContent = String(workers.total);
  byId("workers-empty").hidden = workers.total > 0;
  const trouble = byId("trouble");
  const complaint = status.trouble ? `Control is in trouble: ${status.trouble}` : "";
  if (trouble.textContent !== complaint) trouble.textContent = complaint;
  trouble.hidden = !complaint;
  const broken = counts.broken ? `${counts.broken} broken, ` : "";
  document.title = `${broken}${counts.available} of ${counts.total} free – iCEFARM`;
}

/**
 * What somebody has to look after: broken boards, workers that cannot be reached, and boards that
 * are missing although their worker is there.
 */
export function showTroubles(boards, workers) {
  const isAway = (worker) => ["unreachable", "lost"].includes(worker?.contact);
  const away = workers.items().filter(isAway);
  const broken = boards.items().filter((board) => board.status === "broken");
  const missing = boards.items().filter((board) => {
    const worker = workers.get(board.worker);
    // Of one that was stopped somebody wanted it so.
    return board.status === "offline" && !isAway(worker) && worker?.contact !== "left";
  });
  const all = [
    ...broken.map(boardInTrouble),
    ...away.map(workerInTrouble),
    ...missing.map(boardInTrouble),
  ];
  const sign = JSON.stringify(all.map((trouble) => trouble.sign));
  const list = byId("troubles-list");
  if (list.dataset.sign === sign) return;
  list.dataset.sign = sign;
  keepingFocus(() => {
    const items = all.slice(0, NAMED).map((trouble) => trouble.item());
    const more = all.length - items.length;
    if (more > 0) items.push(make("li", "more", `and ${more} more`));
    list.replaceChildren(...items);
    byId("troubles").hidden = all.length === 0;
  });
}

function boardInTrouble(board) {
  const { serial, status, since, reason: why } = board;
  return {
    sign: [serial, status, since, why],
    item: () => {
      const line = make("span", "line", button(serial, "show", "link"), statusOf(board));
      line.append(...(since ? [ago(since, "")] : []));
      return trouble(serial, line, why);
    },
  };
}

function workerInTrouble(worker) {
  const { name, contact, last_contact: last, boards } = worker;
  return {
    sign: [name, contact, last, boards],
    item: () => {
      const label = make("span", "label", `Worker ${name}`);
      const line = make("span", "line", label, contactOf(worker), ago(last));
      const which = boards === 1 ? "its board is" : `its ${boards} boards are`;
      return trouble(name, line, boards ? `${which} offline until it is back` : null);
    },
  };
}

function trouble(key, line, why) {
  const item = make("li", "", line, reason(why));
  item.dataset.key = key;
  return item;
}
