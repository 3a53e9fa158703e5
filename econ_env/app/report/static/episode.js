// Shows one episode: question, strategy, every round's controls, replies and commitment, rewards, tokens.

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.map(([name, ...value]) => h("div", null, h("dt", null, name), h("dd", null, ...value))));
}

function showEpisode(entry, episode, index) {
  const heading = [
    facts([
      ["Verdict", badge(entry.verdict)],
      ["Answer", h("strong", null, entry.answer ?? "none")],
      ["Gold", h("strong", null, ...(episode ? text(episode.gold) : [entry.gold]))],
      ["Kind", entry.kind || "–"],
      ["Tokens", `${number(total(entry.tokens))}`],
      ["Calls", number(entry.calls)],
      ["Time", `${number(entry.seconds, 2)} s`],
      ["Cost", entry.usd === null ? "–" : `US$ ${number(entry.usd, 5)}`],
    ]),
    others(entry, index),
  ];
  if (!episode) return [...heading, h("p", { class: "note" }, "This run did not save the texts of the episode.")];
  let round = 0;
  const decisions = episode.decisions.map((decision, place) => {
    const part = showDecision(entry, decision, place, round, episode);
    round += decision.rounds.length;
    return part;
  });
  return [
    ...heading,
    h("section", { class: "said" }, h("h3", null, "Question"), h("p", { class: "words" }, text(episode.question))),
    episode.strategy && showStrategy(episode.strategy),
    ...decisions,
    showTokens(entry),
  ];
}

// Links to the other methods' episodes of the same problem and seed.
function others(entry, index) {
  const links = index.episodes
    .map((other, place) => [other, place])
    .filter(([other]) => other !== entry && other.problem === entry.problem && other.seed === entry.seed)
    .map(([other, place]) =>
      h("li", null, h("a", { href: `#episode-${place}` }, index.names[other.method]), " ", badge(other.verdict), ` ${few(other.answer)}`),
    );
  return links.length === 0 ? null : h("section", { class: "others" }, h("h3", null, "The same problem with other methods"), h("ul", null, links));
}

function showStrategy(strategy) {
  const said = strategy.text === null ? h("p", { class: "note" }, strategy.error ?? "none") : h("p", { class: "words" }, text(strategy.text));
  const redacted = strategy.redacted ? h("p", { class: "note" }, "A leaked answer was removed from the strategy.") : null;
  return h("section", { class: "said" }, h("h3", null, "Strategy ", tokens(strategy.tokens)), said, redacted);
}

function showDecision(entry, decision, place, first, episode) {
  const decisions = episode.decisions.length;
  const rounds = decision.rounds.map((round, number_) => {
    const before = number_ > 0 && !round.adds ? decision.rounds[number_ - 1] : null;
    return showRound(round, before, decision.judged[number_], entry.verdicts[first + number_], number_, episode.controls);
  });
  const reason = entry.stop[place];
  const ended = reason ? h("p", { class: "ended" }, "Refinement ended: ", h("strong", null, STOP_REASONS[reason] ?? reason), residualText(entry, decisions)) : null;
  const title = decisions > 1 ? h("h3", { class: "decision" }, `Decision ${place + 1}`) : null;
  return h("section", null, title, rounds, ended, showRewards(decision));
}

function residualText(entry, decisions) {
  const parts = [];
  if (decisions === 1 && entry.residuals.length) parts.push(`residuals ${entry.residuals.map((value) => number(value, 3)).join(", ")}`);
  if (decisions === 1 && entry.gap !== null) parts.push(`gap ${number(entry.gap, 4)}`);
  return parts.length ? `; ${parts.join("; ")}` : "";
}

function showRound(round, before, judged, verdict, place, names) {
  const replies = round.replies.map((reply, agent) => showReply(reply, before?.replies[agent], judged[agent], names));
  const local = round.clusters.map((cluster) => showCommitment("Local commitment", cluster, null, `for ${cluster.agents.join(", ")}, `));
  return h(
    "section",
    { class: "round" },
    h("h3", null, `Round ${place + 1} `, h("small", null, `${number(round.seconds, 2)} s`)),
    h("div", { class: "replies" }, replies),
    local.length ? h("div", { class: "replies" }, local) : null,
    showCommitment("Commitment", round.commitment, verdict),
  );
}

const SOURCES = { coordinator: "by the coordinator", unanimous: "all gave this answer", majority: "majority of the replies", none: "none" };

function showCommitment(title, said, verdict, who = "") {
  return h(
    "article",
    { class: "commitment" },
    h("h4", null, `${title} `, h("small", null, who + (SOURCES[said.source] ?? said.source)), " ", verdict ? badge(verdict) : null, " ", tokens(said.tokens, said.cached)),
    spoken(said),
  );
}

function showReply(reply, before, judged, names) {
  const change = (now, then) => (before && Math.abs(now - then) >= 0.005 ? h("small", null, ` (${signed(now - then)})`) : null);
  const silent = reply.status === "silent";
  return h(
    "article",
    { class: "reply" },
    h("h4", null, reply.agent, " ", judged !== undefined ? badge(judged ?? reply.status) : silent ? badge("silent") : null),
    h(
      "p",
      { class: "controls" },
      names.map((name, place) =>
        h("span", { title: CONTROLS[name] ?? name }, `${name} `, h("b", null, number(reply.controls[place], 2)), change(reply.controls[place], before?.controls[place])),
      ),
      silent ? null : reply.stands ? h("small", null, "stands from an earlier round") : tokens(reply.tokens, reply.cached),
    ),
    silent ? null : spoken(reply),
  );
}

function spoken(said) {
  return [
    said.error ? h("p", { class: "error" }, said.error) : null,
    said.text === null ? null : h("p", { class: "words" }, text(said.text)),
    said.written === null ? null : h("details", null, h("summary", null, "As written"), h("pre", null, said.written)),
    h("p", { class: "answer" }, "Answer: ", said.answer === null ? h("em", null, "none") : h("strong", null, ...text(said.answer))),
  ];
}

function tokens([prompt, completion], cached = 0) {
  const from = cached ? ", from the cache" : "";
  return h("small", { title: `${number(prompt)} tokens of prompt, ${number(completion)} generated${from}` }, `${number(prompt)} + ${number(completion)} tokens${from}`);
}

function showRewards(decision) {
  if (!decision.weights || !decision.rewards.length) return null;
  const further = Object.keys(decision.rewards[0].further ?? {}); // added reward terms, shown last
  const priced = decision.team?.price ? ["Price"] : [];
  const values = (part) => [part.al, part.ts, part.cc, ...further.map((name) => part.further[name]), ...priced.map(() => part.price), part.total];
  const line = (name, part) =>
    h("tr", null, h("th", { scope: "row" }, name), ...values(part).map((value) => h("td", null, number(value, 3))));
  const terms = ["AL", "TS", "CC", ...further].map((name, place) => `${name} × ${number(decision.weights[place], 2)}`);
  const agents = decision.rounds[decision.rounds.length - 1].replies.map((reply) => reply.agent);
  return h(
    "table",
    { class: "rewards" },
    h("caption", null, `Rewards, in [0, 1]${priced.length ? " less the price of calls" : ""}: closeness to the commitment (AL), right answer (TS), contribution (CC)`),
    h("thead", null, h("tr", null, ...["", ...terms, ...priced, "Sum"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, ...decision.rewards.map((part, place) => line(agents[place], part)), decision.team ? line("team", decision.team) : null),
  );
}

function showTokens(entry) {
  const parts = Object.entries(entry.tokens).map(([role, value]) => `${role} ${number(value)}`);
  return h("p", { class: "note" }, `Tokens: ${parts.join(", ")}; together ${number(total(entry.tokens))}.`);
}
