// A table whose rows have keys: only what changed is drawn, and the focus stays where it is.

const collator = new Intl.Collator("en", { numeric: true });

/** Smaller first; what is missing comes last in both directions. */
function compare(a, b, direction) {
  const missing = (value) => value === undefined || value === null || value === "";
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  const order = typeof a === "number" ? a - b : collator.compare(a, b);
  return direction * order;
}

export class KeyedTable {
  /**
   * The heads of the table name the columns, of which `columns` says what is in them; `key(item)`
   * tells rows apart, and `mark(row, item)` marks a row. It is sorted by its first column.
   */
  constructor(table, { columns, key, mark }) {
    this.body = table.tBodies[0];
    this.key = key;
    this.mark = mark;
    this.onSort = null;
    this.fits = () => true;
    this.rows = new Map();
    this.shown = [];
    this.body.replaceChildren();
    this.columns = [];
    /** The heads by which one can sort, by the names of their columns. */
    this.heads = new Map();
    for (const head of table.tHead.rows[0].cells) {
      const column = { ...columns[head.dataset.column], head };
      this.columns.push(column);
      if (column.sort) this.heads.set(head.dataset.column, this.sortable(head));
    }
    this.sort = this.columns[0].head.dataset.column;
    this.direction = 1;
    this.showSort();
  }

  /** Puts a button into a head, which sorts by its column. */
  sortable(head) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.append(...head.childNodes);
    button.addEventListener("click", () => this.sortBy(head.dataset.column));
    head.replaceChildren(button);
    return head;
  }

  sortBy(name, direction) {
    const turned = this.sort === name ? -this.direction : 1;
    this.direction = direction ?? turned;
    this.sort = name;
    this.showSort();
    this.place();
    this.onSort?.();
  }

  showSort() {
    for (const [name, head] of this.heads) {
      if (name === this.sort) {
        head.setAttribute("aria-sort", this.direction > 0 ? "ascending" : "descending");
      } else {
        head.removeAttribute("aria-sort");
      }
    }
  }

  /** Shows only items for which `fits` holds. */
  filter(fits) {
    this.fits = fits;
    this.place();
  }

  /** Everything is new. */
  reset(items) {
    const present = new Set(items.map(this.key));
    const gone = [...this.rows.keys()].filter((key) => !present.has(key));
    this.update(items, gone);
  }

  update(items, gone) {
    for (const key of gone) this.rows.delete(key);
    for (const item of items) this.draw(item);
    if (items.length || gone.length) this.place();
  }

  draw(item) {
    const key = this.key(item);
    let row = this.rows.get(key);
    if (!row) {
      const element = document.createElement("tr");
      element.setAttribute("role", "row");
      element.dataset.key = key;
      const cells = this.columns.map(({ head }, index) => {
        const cell = document.createElement(index ? "td" : "th");
        cell.setAttribute("role", index ? "cell" : "rowheader");
        if (!index) cell.scope = "row";
        cell.className = `${head.dataset.column} ${head.className}`.trim();
        if (head.dataset.label) cell.dataset.label = head.dataset.label;
        return { cell, sign: null };
      });
      element.append(...cells.map(({ cell }) => cell));
      row = { element, cells };
      this.rows.set(key, row);
    }
    row.item = item;
    this.columns.forEach((column, index) => {
      const drawn = row.cells[index];
      const sign = column.text ? (column.text(item) ?? "") : column.sign(item);
      if (drawn.sign === sign) return;
      drawn.sign = sign;
      if (column.text) drawn.cell.textContent = sign;
      else column.fill(drawn.cell, item);
    });
    this.mark?.(row.element, item);
  }

  /** Brings the rows that are shown into their order. Rows that stay are not touched. */
  place() {
    const value = this.columns.find(({ head }) => head.dataset.column === this.sort).sort;
    const rows = [...this.rows.values()].filter((row) => this.fits(row.item));
    rows.sort(
      (a, b) =>
        compare(value(a.item), value(b.item), this.direction) ||
        collator.compare(this.key(a.item), this.key(b.item)),
    );
    this.shown = rows;
    const wanted = new Set(rows.map((row) => row.element));
    for (const element of [...this.body.children]) {
      if (!wanted.has(element)) element.remove();
    }
    let next = this.body.firstElementChild;
    for (const { element } of rows) {
      if (element === next) next = next.nextElementSibling;
      else this.move(element, next);
    }
  }

  /** A row that is moved keeps the focus that is in it. */
  move(element, before) {
    if (element.isConnected && this.body.moveBefore) {
      this.body.moveBefore(element, before);
      return;
    }
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    this.body.insertBefore(element, before);
    focused?.focus({ preventScroll: true });
  }

  get(key) {
    return this.rows.get(key)?.item;
  }

  /** All items, also those that are not shown. */
  items() {
    return [...this.rows.values()].map((row) => row.item);
  }
}
