// Ties the marks of a draft to their cards. Runs once for the component, which Gradio gives as `element`; its content
// is replaced as findings come in, so what the visitor opened is kept here and put back after each replacement.
const opened = new Set();
const hidden = new Set();
let current = null;
let asked = null;

const keyOf = (node) => node.dataset.finding;
const criterionOf = (key) => key.split("-").slice(2).join("-");
const all = (selector) => Array.from(element.querySelectorAll(selector));
const find = (selector, key, within = element) =>
  Array.from(within.querySelectorAll(selector)).find((node) => keyOf(node) === key);
const calmly = { block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" };

function restore() {
  for (const node of all("[data-finding]")) {
    node.classList.toggle("current", keyOf(node) === current);
    node.classList.toggle("off", hidden.has(criterionOf(keyOf(node))));
  }
  for (const card of all(".card")) {
    card.classList.toggle("open", opened.has(keyOf(card)));
    card.querySelector(".head").setAttribute("aria-expanded", String(opened.has(keyOf(card))));
  }
  for (const chip of all(".chip")) {
    chip.setAttribute("aria-pressed", String(!hidden.has(chip.dataset.criterion)));
  }
  // The button that asked for a fix is gone once the answer is there; the keyboard goes on from the answer.
  const answer = asked && find(".card", asked)?.querySelector(".fix[role=status]");
  if (answer) {
    asked = null;
    answer.focus({ preventScroll: true });
  }
}

function showCard(key, side) {
  current = key;
  opened.add(key);
  restore();
  const entry = find(".card, .entry", key, side) ?? find(".card, .entry", key);
  if (entry) {
    (entry.querySelector(".head") ?? entry).focus({ preventScroll: true });
    entry.scrollIntoView(calmly);
  }
}

function showPlace(key, side, focus) {
  current = key;
  restore();
  const number = find(".number", key, side);
  if (number) {
    find(".mark", key, side)?.scrollIntoView(calmly);
    if (focus) number.focus({ preventScroll: true });
  }
}

// Of the findings that share the clicked words, the innermost; clicked again, the next one out.
function chosenAt(node) {
  const chain = [];
  for (let mark = node.closest(".mark"); mark; mark = mark.parentElement.closest(".mark")) chain.push(keyOf(mark));
  return chain[(chain.indexOf(current) + 1) % chain.length];
}

function act(target) {
  const side = target.closest(".side") ?? element;
  const number = target.closest(".number");
  const chip = target.closest(".chip");
  const holder = target.closest(".card, .entry");
  if (number) return showCard(keyOf(number), side);
  if (target.closest(".mark")) return showCard(chosenAt(target), side);
  if (chip) {
    const criterion = chip.dataset.criterion;
    if (!hidden.delete(criterion)) hidden.add(criterion);
    return restore();
  }
  if (!holder) return;
  const button = target.closest("button");
  if (button?.dataset.act === "fix") {
    asked = keyOf(holder);
    button.disabled = true;
    button.textContent = "Looking for one …";
    trigger("fix", { finding: keyOf(holder) });
  } else if (button?.dataset.act === "place") {
    showPlace(keyOf(holder), side, true);
  } else if (button) {
    if (button.classList.contains("head") && !opened.delete(keyOf(holder))) opened.add(keyOf(holder));
    showPlace(keyOf(holder), side, false);
  }
}

element.addEventListener("click", (event) => act(event.target));
element.addEventListener("keydown", (event) => {
  const number = event.target.closest(".number");
  if (number && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    act(number);
  }
  const holder = event.target.closest(".card, .entry");
  if (holder && event.key === "Escape") showPlace(keyOf(holder), holder.closest(".side") ?? element, true);
});
for (const [name, on] of [["pointerover", true], ["pointerout", false]]) {
  element.addEventListener(name, (event) => {
    const node = event.target.closest("[data-finding]");
    if (!node) return;
    for (const other of all("[data-finding]")) {
      if (keyOf(other) === keyOf(node)) other.classList.toggle("hot", on);
    }
  });
}
watch("value", restore);
