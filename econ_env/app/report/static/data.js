// Reads the episodes in the page: an index, and chunks that are decompressed on demand.

const { STOP_REASONS, BASELINE, CONTROLS } = JSON.parse(document.getElementById("words").textContent);
const KEPT_CHUNKS = 12; // parsed chunks held in memory

async function inflate(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const chunks = new Map();

async function chunk(number) {
  const known = chunks.get(number);
  chunks.delete(number); // reinserted below, so the most recently used chunk is last
  const value = known ?? inflate(`chunk-${number}`);
  chunks.set(number, value);
  if (chunks.size > KEPT_CHUNKS) chunks.delete(chunks.keys().next().value);
  return value;
}

async function episodeTexts(entry) {
  return entry.at ? (await chunk(entry.at[0]))[entry.at[1]] : null;
}

// Searchable text in lower case, by chunk and place; filled once, chunk by chunk.
const haystacks = [];

async function readHaystacks(count, progress) {
  for (let number = haystacks.length; number < count; number += 1) {
    const episodes = await inflate(`chunk-${number}`);
    haystacks[number] = episodes.map((episode) => searchable(episode).join("\n").toLowerCase());
    progress((number + 1) / count);
  }
}

function searchable(value) {
  const texts = [];
  const add = (pieces) => pieces && texts.push(plain(pieces));
  add(value.question);
  if (value.strategy) add(value.strategy.text), texts.push(value.strategy.error ?? "");
  for (const decision of value.decisions) {
    for (const round of decision.rounds) {
      for (const said of [...round.replies, ...round.clusters, round.commitment]) {
        add(said.text);
        texts.push(said.error ?? "");
      }
    }
  }
  return texts;
}

function plain(pieces) {
  return pieces.map((piece) => (typeof piece === "string" ? piece : piece[0])).join("");
}
