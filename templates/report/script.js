"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const order = new Intl.Collator("en", { numeric: true });
  const readers = new Map();

  // A cell's place among numbers: dashes and NaN sort last, infinities first or last as numbers do.
  const figure = (text) => {
    const plain = text.replace(/[,\s\u202f]/g, "").replace(/^[<>]/, "").replace("\u2212", "-").replace("\u221e", "Infinity");
    const found = /^-?(Infinity|[\d.]+(e-?\d+)?)/.exec(plain);
    return found ? Number(found[0]) : NaN;
  };

  const lineOf = (button) => button.closest("tr");

  class Table {
    constructor(table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.rows = all("tr", this.body);
      this.rest = table.parentNode.querySelector("noscript"); // text until somebody wants its rows
      const tail = table.parentNode.querySelector("table[data-tail]");
      this.tail = tail ? all("tbody tr", tail) : []; // behind all folds
      if (tail) tail.remove();
      this.body.append(...this.tail);
      this.total = this.rows.length + this.tail.length + (this.rest ? Number(this.rest.dataset.count) : 0);
      this.words = new Map();
      this.size = Number(table.dataset.rows);
      this.page = 0;
      this.tools = document.querySelector(`.tools[data-for="${table.id}"]`);
      this.search = this.tools.querySelector("input[type=search]");
      this.select = this.tools.querySelector("select");
      this.tools.hidden = false;
      this.head = null;
      this.left = 0;
      this.heads = [];
      this.fold(this.rows);
      this.rows.push(...this.tail);
      this.first = this.rows.slice();
      this.listen();
      all("thead th", table).forEach((head, place) => this.sortable(head, place));
      this.natural = true;
      const blamed = () => this.rows.find((row) => row.dataset.s === "origin" || row.dataset.s === "suspect");
      if (this.rest && !blamed() && /<tr[^>]* data-s=(origin|suspect)/.test(this.rest.textContent)) this.whole();
      const wrong = blamed();
      this.shown = this.lines(this.rows);
      this.turn(wrong); // a long table opens where it went wrong
      table.classList.add("ready");
    }
    // Rows that the page marked become one line that opens, while the table is in its own order and whole.
    fold(rows) {
      const width = all("thead th", this.table).length;
      rows.forEach((row) => {
        if (row.dataset.fold) {
          this.left = Number(row.dataset.n);
          const head = this.head = document.createElement("tr");
          head.className = "fold";
          head.members = [];
          const cell = head.insertCell(), button = document.createElement("button");
          cell.colSpan = width;
          button.type = "button";
          button.textContent = row.dataset.fold;
          button.setAttribute("aria-expanded", "false");
          cell.append(button);
          button.addEventListener("click", () => this.open(lineOf(button), button.getAttribute("aria-expanded") === "false"));
          this.heads.push(head);
          row.before(head);
        }
        if (!this.left) return;
        this.left -= 1;
        this.head.members.push(row);
        row.head = this.head;
      });
    }
    // All rows, once: the rest of a very long table becomes rows when somebody looks for them.
    whole() {
      if (!this.rest) return;
      const box = document.createElement("template");
      box.innerHTML = this.rest.textContent;
      const rows = all("tbody tr", box.content);
      this.rest.remove();
      this.rest = null;
      rows.forEach((row) => row.classList.add("off"));
      if (this.tail.length) this.tail[0].before(...rows);
      else this.body.append(...rows);
      const early = this.rows.slice(0, this.rows.length - this.tail.length);
      this.rows = [...early, ...rows, ...this.tail];
      this.first = this.rows.slice();
      this.fold(rows);
    }
    open(head, wide) {
      this.whole();
      head.querySelector("button").setAttribute("aria-expanded", String(wide));
      this.show();
    }
    // Lines as they stand: rows, and a line for each closed or open fold.
    lines(kept) {
      if (!this.natural || kept.length < this.rows.length) return kept;
      return kept.flatMap((row) => {
        if (!row.head) return [row];
        const shown = row.head.querySelector("button").getAttribute("aria-expanded") === "true" ? [row] : [];
        return row.head.members[0] === row ? [row.head, ...shown] : shown;
      });
    }
    turn(row) {
      this.page = Math.max(0, Math.floor(this.shown.indexOf(row) / this.size));
      this.show();
    }
    listen() {
      const again = () => { this.whole(); this.page = 0; this.show(); };
      this.search.addEventListener("input", again);
      if (this.select) this.select.addEventListener("change", again);
      all("button", this.tools).forEach((button) => button.addEventListener("click", () => {
        this.whole();
        this.page += Number(button.dataset.step);
        this.show();
      }));
      all("[data-toggle]", this.tools).forEach((box) => box.addEventListener("change", () => this.table.classList.toggle(box.dataset.toggle, box.checked)));
    }
    sortable(head, place) {
      if ("nosort" in head.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      const printed = document.createElement("span"); // a heading's button is printed on the table's first page only
      printed.className = "printed";
      printed.textContent = head.textContent;
      printed.setAttribute("aria-hidden", "true");
      button.append(...head.childNodes);
      head.append(button, printed);
      button.addEventListener("click", () => this.sort(head, place));
    }
    sort(head, place) {
      this.whole();
      const numeric = head.classList.contains("r");
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : numeric && place > 0;
      all("th", head.parentNode).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(this.first.map((row) => [row, row.cells[place].textContent.trim()]));
      const way = down ? -1 : 1;
      const compare = numeric
        ? (a, b) => {
            const x = figure(keys.get(a)), y = figure(keys.get(b));
            if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
            return x === y ? 0 : way * (x < y ? -1 : 1);
          }
        : (a, b) => way * order.compare(keys.get(a), keys.get(b));
      this.rows = this.first.slice().sort(compare);
      this.natural = this.rows.every((row, n) => row === this.first[n]);
      this.body.append(...this.rows);
      if (this.natural) this.heads.forEach((one) => one.members[0].before(one));
      this.page = 0;
      this.show();
    }
    text(row) {
      if (!this.words.has(row)) this.words.set(row, row.textContent.toLowerCase());
      return this.words.get(row);
    }
    show() {
      const wanted = this.search.value.trim().toLowerCase();
      const state = this.select ? this.select.value : "";
      const kept = this.rows.filter((row) => {
        const fits = (!state || (row.dataset.s || "exact") === state) && (!wanted || this.text(row).includes(wanted));
        row.classList.toggle("out", !fits);
        return fits;
      });
      const lines = this.shown = this.lines(kept);
      const count = lines.length + (this.rest ? Number(this.rest.dataset.lines) : 0);
      const pages = Math.max(1, Math.ceil(count / this.size));
      this.page = Math.min(Math.max(this.page, 0), pages - 1);
      const from = this.page * this.size, to = Math.min(from + this.size, lines.length);
      const seen = new Set(lines.slice(from, to));
      [...this.rows, ...this.heads].forEach((row) => row.classList.toggle("off", !seen.has(row)));
      const late = this.total - this.rows.length;
      const folded = lines === kept ? 0 : kept.length - lines.filter((row) => !row.members).length + late - (count - lines.length);
      this.say(kept.length + late, count, folded, from, to, pages);
      if (this.rest && to < Math.min(count, this.size)) requestAnimationFrame(() => setTimeout(() => { this.whole(); this.show(); }));
    }
    say(count, lines, folded, from, to, pages) {
      const total = this.total;
      const shown = pages > 1 ? `${from + 1} to ${to} of ${lines}` : `${count}`;
      const aside = folded ? `, ${folded} folded` : "";
      this.tools.querySelector("output").textContent = (count === total ? `${shown} ${pages > 1 && lines !== count ? "lines" : "rows"}` : `${shown} rows that match, of ${total}`) + aside;
      all("button", this.tools).forEach((button) => {
        button.hidden = pages === 1;
        button.disabled = button.dataset.step < 0 ? this.page === 0 : this.page === pages - 1;
      });
    }
    reveal(row) {
      if (row.classList.contains("out")) {
        this.search.value = "";
        if (this.select) this.select.value = "";
        this.show();
      }
      if (row.head) this.open(row.head, true);
      this.turn(row);
      all("tr.at", this.body).forEach((old) => old.classList.remove("at"));
      row.classList.add("at");
      row.tabIndex = -1;
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: "center" });
    }
  }

  // A header sticks to the window only where the table needs no scrollbar of its own.
  const fit = () => all(".scroll > table.data[data-rows]").forEach((table) => {
    const box = table.parentNode;
    box.classList.remove("fits");
    box.classList.toggle("fits", table.scrollWidth <= box.clientWidth);
  });
  all("table[data-rows]").forEach((table) => readers.set(table.id, new Table(table)));
  const rowOf = (id) => {
    if (!document.getElementById(id)) readers.forEach((table) => { if (table.rest) { table.whole(); table.show(); } });
    return document.getElementById(id);
  };
  addEventListener("beforeprint", () => readers.forEach((table) => { table.whole(); table.show(); }));
  fit();
  addEventListener("resize", fit);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#L'], a[href^='#O']");
    const row = link && rowOf(link.getAttribute("href").slice(1));
    if (!row) return;
    event.preventDefault();
    history.replaceState(null, "", link.getAttribute("href"));
    readers.get(row.closest("table").id).reveal(row);
  });
  const asked = /^#[LO]\d+$/.test(location.hash) && rowOf(location.hash.slice(1));
  if (asked) readers.get(asked.closest("table").id).reveal(asked);

  // A picture of many links is one stop of the tab key; arrow keys walk along it.
  const walk = (links, first, tell) => {
    const stop = (place) => links.forEach((link, n) => link.setAttribute("tabindex", n === place ? "0" : "-1"));
    links.forEach((link, place) => {
      link.addEventListener("mouseenter", () => tell(link));
      link.addEventListener("focus", () => { stop(place); tell(link); });
      link.addEventListener("keydown", (event) => {
        const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: links.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        links[Math.min(Math.max(to, 0), links.length - 1)].focus();
      });
    });
    if (links.length) stop(Math.max(0, first));
  };
  const columns = all(".plot a");
  const readout = document.getElementById("readout");
  const first = Math.max(0, columns.findIndex((column) => column.querySelector(".f-origin, .f-suspect")));
  walk(columns, first, (column) => { readout.textContent = column.getAttribute("aria-label"); });
  // On a narrow screen the strip is wider than its window: what is to blame comes into view.
  if (first) {
    const box = columns[first].closest(".scroll"), place = columns[first].getBoundingClientRect();
    box.scrollLeft = place.left - box.getBoundingClientRect().left - box.clientWidth / 2;
  }

  // The network: the square of each op says which row it is of, and a search looks into those rows.
  const search = document.getElementById("net-search");
  if (search) {
    const squares = all(".parts a"), line = search.closest(".seek").querySelector("output"), words = new Map();
    const row = rowOf;
    const say = (link) => {
      const own = row(link.getAttribute("href").slice(1)), code = own && own.querySelector("code"), mark = own && own.querySelector("b");
      const box = link.closest("[data-rows]");
      line.textContent = box ? `${box.querySelector("title").textContent}` : `${link.getAttribute("aria-label")} ${code ? code.textContent : ""}${mark ? `: ${mark.textContent}` : ""}`;
    };
    const has = (id, wanted) => {
      if (!words.has(id)) words.set(id, row(id) ? row(id).textContent.toLowerCase() : "");
      return words.get(id).includes(wanted);
    };
    const counted = (box, wanted) => box.dataset.rows.split(" ").reduce((sum, range) => {
      const [from, to] = range.split("-").map(Number);
      for (let n = from; n <= (to === undefined ? from : to); n += 1) sum += has(`L${n}`, wanted);
      return sum;
    }, 0);
    search.closest(".seek").hidden = false;
    walk(squares, squares.findIndex((link) => link.matches(".vo, .vs")), say);
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      let hits = 0;
      all(".parts .bx").forEach((box) => {
        const links = all("a", box), title = box.querySelector("title").textContent.toLowerCase();
        const own = box.dataset.rows ? counted(box, wanted) : links.filter((link) => {
          const fits = title.includes(wanted) || has(link.getAttribute("href").slice(1), wanted);
          link.classList.toggle("hit", Boolean(wanted) && fits);
          return fits;
        }).length;
        hits += own;
        box.classList.toggle("miss", Boolean(wanted) && !own);
        if (box.dataset.rows) links.forEach((link) => link.classList.toggle("hit", Boolean(wanted) && own > 0));
      });
      line.textContent = wanted ? `${hits} of ${search.closest(".network").dataset.ops} ops` : "";
    });
    search.addEventListener("keydown", (event) => {
      const hit = document.querySelector(".parts .hit");
      if (event.key === "Enter" && hit) hit.focus();
    });
  }
})();
