// Makes elements. Texts only become text nodes; no script of the page parses markup.

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MATHML_ELEMENT = /^(m[a-z]+|none)$/;
const MATHML_ATTRIBUTE = /^(?!on|href|src|style)[a-z]+$/;

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === "class") element.className = value;
    else if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function mathml(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [tag, attributes, children] = tree;
  const element = document.createElementNS(MATHML, MATHML_ELEMENT.test(tag) && tag !== "maction" ? tag : "mrow");
  for (const [name, value] of Object.entries(attributes)) {
    if (MATHML_ATTRIBUTE.test(name)) element.setAttribute(name, value);
  }
  element.append(...children.map(mathml));
  return element;
}

// A text with rendered formulas; the title shows a formula's source.
function text(pieces) {
  return pieces.map((piece) => {
    if (typeof piece === "string") return piece;
    const [source, tree] = piece;
    const element = mathml(tree);
    element.setAttribute("aria-label", source);
    return h("span", { class: element.getAttribute("display") === "block" ? "formula block" : "formula", title: source }, element);
  });
}

const VERDICTS = {
  correct: ["✓", "right"],
  wrong: ["✗", "wrong"],
  no_answer: ["?", "no answer"],
  failed: ["!", "failed"],
  invalid: ["!", "invalid"],
  silent: ["–", "silent"],
};

function badge(verdict) {
  const [mark, word] = VERDICTS[verdict] ?? ["·", verdict];
  return h("span", { class: `badge ${verdict in VERDICTS ? verdict : ""}` }, h("span", { "aria-hidden": "true" }, mark), ` ${word}`);
}

function number(value, digits = 0) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function signed(value, digits = 2) {
  return (value < 0 ? "−" : "+") + number(Math.abs(value), digits);
}

function total(tokens) {
  return tokens.strategy + tokens.executor + tokens.commitment;
}

function few(answer, length = 24) {
  if (answer === null) return "none";
  return answer.length > length ? `${answer.slice(0, length - 1)}…` : answer;
}
