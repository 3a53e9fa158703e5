// The trace browser: filters, search, list pages, and a dialog with one episode. Every episode has its own URL fragment.

const PAGE = 50;

async function startBrowser() {
  const find = (id) => document.getElementById(id);
  const status = find("status");
  if (typeof DecompressionStream === "undefined") {
    status.textContent = "This browser can't open the episodes: it has no DecompressionStream.";
    return;
  }
  status.textContent = "Opening the episodes …";
  const index = await inflate("index");
  const chunkCount = document.querySelectorAll("script[id^='chunk-']").length;
  const filters = { method: find("method"), verdict: find("verdict"), stop: find("stop"), kind: find("kind"), against: find("against") };
  const [search, sort, list, dialog] = [find("search"), find("sort"), find("list"), find("episode")];
  const baseline = index.methods.indexOf(BASELINE);
  const baselineRight = new Map(
    index.episodes.filter((entry) => entry.method === baseline).map((entry) => [`${entry.problem}\n${entry.seed}`, entry.verdict]),
  );
  let shown = [];
  let page = 0;
  let latest = 0;

  function fill(select, values, words = (value) => value) {
    for (const value of values) select.append(h("option", { value }, words(value)));
  }

  const kinds = [...new Set(index.episodes.map((entry) => entry.kind).filter(Boolean))].sort();
  const reasons = [...new Set(index.episodes.flatMap((entry) => entry.stop))].sort();
  index.names.forEach((label, place) => filters.method.append(h("option", { value: String(place) }, label)));
  fill(filters.stop, reasons, (reason) => STOP_REASONS[reason] ?? reason);
  fill(filters.kind, kinds);

  function against(entry, wanted) {
    const theirs = baselineRight.get(`${entry.problem}\n${entry.seed}`);
    if (theirs === undefined || theirs === "failed" || entry.verdict === "failed") return false;
    const [right, wasRight] = [entry.verdict === "correct", theirs === "correct"];
    return wanted === "gained" ? right && !wasRight : !right && wasRight;
  }

  function passes(entry) {
    return (
      (!filters.method.value || entry.method === Number(filters.method.value)) &&
      (!filters.verdict.value || entry.verdict === filters.verdict.value) &&
      (!filters.stop.value || entry.stop.includes(filters.stop.value)) &&
      (!filters.kind.value || entry.kind === filters.kind.value) &&
      (!filters.against.value || against(entry, filters.against.value))
    );
  }

  function says(entry, words) {
    const own = [entry.problem, entry.answer ?? "", entry.gold].join("\n").toLowerCase();
    const texts = entry.at ? haystacks[entry.at[0]][entry.at[1]] : "";
    return words.every((word) => own.includes(word) || texts.includes(word));
  }

  const orders = {
    problem: null,
    tokens: (entry) => total(entry.tokens),
    seconds: (entry) => entry.seconds,
    rounds: (entry) => entry.rounds,
  };

  async function update() {
    const turn = (latest += 1);
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && haystacks.length < chunkCount) {
      await readHaystacks(chunkCount, (share) => { status.textContent = `Reading the episodes … ${Math.round(100 * share)}%`; });
    }
    if (turn !== latest) return; // a newer update has started
    shown = index.episodes.map((entry, place) => place).filter((place) => passes(index.episodes[place]));
    if (words.length) shown = shown.filter((place) => says(index.episodes[place], words));
    const order = orders[sort.value];
    if (order) shown.sort((a, b) => order(index.episodes[b]) - order(index.episodes[a]) || a - b);
    page = 0;
    showPage();
  }

  function showPage() {
    const right = shown.filter((place) => index.episodes[place].verdict === "correct").length;
    const judged = shown.filter((place) => index.episodes[place].verdict !== "failed").length;
    const share = judged ? `, ${number((100 * right) / judged, 1)}% of those judged right` : "";
    status.textContent = `${number(shown.length)} of ${number(index.episodes.length)} episodes${share}`;
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    list.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(line));
    find("page").textContent = `Page ${page + 1} of ${pages}`;
    find("previous").disabled = page === 0;
    find("next").disabled = page === pages - 1;
  }

  function line(place) {
    const entry = index.episodes[place];
    const where = index.runs.length ? ` · ${index.runs[entry.run]}` : "";
    return h(
      "li",
      null,
      h(
        "a",
        { href: `#episode-${place}`, class: "entry" },
        badge(entry.verdict),
        h("span", { class: "who", title: index.methods[entry.method] }, index.names[entry.method]),
        h("span", { class: "what" }, entry.question ?? entry.problem),
        h("span", { class: "answers" }, h("b", null, few(entry.answer)), entry.verdict === "correct" ? "" : ` · gold ${few(entry.gold)}`),
        h("span", { class: "numbers" }, `${entry.problem} · seed ${entry.seed}${where} · ${number(total(entry.tokens))} tokens · ${entry.rounds} ${entry.rounds === 1 ? "round" : "rounds"}`),
      ),
    );
  }

  // The dialog -----------------------------------------------------------------------------------------------------

  let open = null;

  async function follow() {
    const match = /^#episode-(\d+)$/.exec(location.hash);
    const entry = match && index.episodes[Number(match[1])];
    if (!entry) {
      if (dialog.open) dialog.close();
      return;
    }
    open = Number(match[1]);
    const asked = open;
    const episode = await episodeTexts(entry);
    if (asked !== open) return;
    find("episode-title").replaceChildren(index.names[entry.method], h("small", null, ` ${index.methods[entry.method]} · ${entry.problem} · seed ${entry.seed}`));
    find("episode-body").replaceChildren(...showEpisode(entry, episode, index).filter(Boolean));
    const place = shown.indexOf(open);
    find("earlier").disabled = place <= 0;
    find("later").disabled = place < 0 || place === shown.length - 1;
    if (!dialog.open) dialog.showModal();
    if (!dialog.contains(document.activeElement)) find("close").focus(); // the focused button may have been disabled
    dialog.scrollTop = 0;
  }

  function move(step) {
    const place = shown.indexOf(open);
    const target = shown[place + step];
    if (place >= 0 && target !== undefined) history.replaceState(null, "", `#episode-${target}`), follow();
  }

  dialog.addEventListener("close", () => {
    const last = open;
    open = null;
    if (location.hash.startsWith("#episode-")) history.pushState(null, "", location.pathname + location.search);
    const place = shown.indexOf(last);
    if (place >= 0 && Math.floor(place / PAGE) !== page) (page = Math.floor(place / PAGE)), showPage();
    list.querySelector(`a[href="#episode-${last}"]`)?.focus();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  addEventListener("keydown", (event) => {
    if (!dialog.open || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft" || event.key === "k") move(-1);
    if (event.key === "ArrowRight" || event.key === "j") move(1);
  });
  find("earlier").addEventListener("click", () => move(-1));
  find("later").addEventListener("click", () => move(1));
  find("close").addEventListener("click", () => dialog.close());
  addEventListener("hashchange", follow);

  const turn = (step) => { page += step; showPage(); find("episodes").scrollIntoView(); };
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  for (const select of [...Object.values(filters), sort]) select.addEventListener("change", update);
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 200); });
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("reset", () => setTimeout(update));
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !dialog.open && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    }
  });
  await update();
  find("browser").dataset.ready = "yes";
  await follow();
}

startBrowser();
