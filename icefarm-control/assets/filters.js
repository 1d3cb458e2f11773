// Which boards are shown, and in which order. It stands in the address, so that it can be kept as a
// bookmark.

import { wordsOf } from "./columns.js";
import { groupOf, make } from "./marks.js";

const byId = (id) => document.getElementById(id);

export class Filters {
  constructor(boards) {
    this.boards = boards;
    const address = new URL(location.href).searchParams;
    const order = address.get("sort") ?? "";
    const column = order.replace(/^-/, "");
    byId("sort").append(...[...boards.heads].map(([name, head]) => {
      const option = make("option", "", head.textContent);
      option.value = name;
      return option;
    }));
    if (boards.heads.has(column)) boards.sortBy(column, order.startsWith("-") ? -1 : 1);
    byId("sort").value = boards.sort;
    byId("search").value = address.get("q") ?? "";
    this.group = address.get("status") ?? "";

    boards.onSort = () => {
      byId("sort").value = boards.sort;
      this.keep();
    };
    byId("filters").hidden = false;
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("search").addEventListener("input", () => this.apply());
    byId("group").addEventListener("change", () => this.apply());
    byId("sort").addEventListener("change", (event) => boards.sortBy(event.target.value, 1));
    for (const tile of document.querySelectorAll("#tiles button")) tile.disabled = false;
    byId("tiles").addEventListener("click", (event) => {
      const tile = event.target.closest("button[data-group]");
      if (!tile) return;
      this.group = this.group === tile.dataset.group ? "" : tile.dataset.group;
      this.apply();
    });
    this.apply();
  }

  get group() {
    return byId("group").value;
  }

  /** One that is not known shows all of them. */
  set group(group) {
    byId("group").value = group;
    if (byId("group").selectedIndex < 0) byId("group").value = "";
  }

  apply() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const { group } = this;
    this.boards.filter((board) => {
      if (group && groupOf(board) !== group) return false;
      const text = wordsOf(board);
      return words.every((word) => text.includes(word));
    });
    for (const tile of document.querySelectorAll("#tiles button")) {
      tile.setAttribute("aria-pressed", String(tile.dataset.group === group));
    }
    this.count();
    this.keep();
  }

  /** Says how many are shown. */
  count() {
    const [shown, all] = [this.boards.shown.length, this.boards.rows.size];
    const text = shown === all ? String(all) : `${shown} of ${all}`;
    const count = byId("boards-count");
    if (count.textContent !== text) count.textContent = text;
    const empty = byId("boards-empty");
    empty.hidden = shown > 0;
    empty.textContent = all ? "No board fits the filter." : "No board has been reported yet.";
  }

  keep() {
    const url = new URL(location.href);
    const set = (key, value, usual) => {
      if (value && value !== usual) url.searchParams.set(key, value);
      else url.searchParams.delete(key);
    };
    set("q", byId("search").value.trim());
    set("status", this.group);
    set("sort", (this.boards.direction < 0 ? "-" : "") + this.boards.sort, "serial");
    history.replaceState(null, "", url);
  }
}
