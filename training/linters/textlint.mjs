// textlint's rules for English that are about the writing rather than about a house style.
import { TextlintKernel } from "@textlint/kernel";
import textPlugin from "@textlint/textlint-plugin-text";
import { serve } from "./serve.mjs";

const PACKAGES = {
  "write-good": "textlint-rule-write-good",
  "stop-words": "textlint-rule-stop-words",
  rousseau: "textlint-rule-rousseau",
  alex: "textlint-rule-alex",
  "common-misspellings": "textlint-rule-common-misspellings",
  "en-capitalization": "textlint-rule-en-capitalization",
  "unexpanded-acronym": "textlint-rule-unexpanded-acronym",
  "no-unmatched-pair": "@textlint-rule/textlint-rule-no-unmatched-pair",
};
const CHECKS = ["weasel", "illusion", "so", "thereIs", "passive", "adverb", "tooWordy", "cliches"];
const plain = (module) => module.default?.default ?? module.default ?? module;

async function loaded() {
  const rules = [];
  for (const [ruleId, name] of Object.entries(PACKAGES)) {
    const rule = plain(await import(name));
    // write-good joins the reasons of checks that mark the same words, so each check is a rule of its own.
    const alone = (check) => Object.fromEntries(CHECKS.map((each) => [each, each === check]));
    if (ruleId === "write-good") {
      rules.push(...CHECKS.map((check) => ({ ruleId: `${ruleId}/${check}`, rule, options: alone(check) })));
    } else {
      rules.push({ ruleId, rule, options: {} });
    }
  }
  return rules;
}

/** Rules of several kinds tell the kind in front of their message: "warning(passive) ..." or "[kind] ..."; alex gives
 * every profane word a kind of its own, and says how likely it is meant as one. */
function kind(message) {
  if (/Don’t use .*, it’s profane/.test(message)) return "profane";
  return /^(?:\w+\(([^)]+)\)|\[([\w-]+)\])/.exec(message)?.slice(1).find(Boolean);
}

/** Most rules give only where the words begin, or nothing but the words: those that the message quotes. */
function place(text, { index, message }) {
  const quoted = /["“`]([^"”`]+)["”`]/.exec(message)?.[1];
  const found = quoted ? text.indexOf(quoted, index) : -1;
  if (found >= 0) return { start: found, end: found + quoted.length };
  const [blanks, words] = /^(\s*)([\w'’-]+|\S?)/.exec(text.slice(index)).slice(1);
  return { start: index + blanks.length, end: index + blanks.length + words.length };
}

const kernel = new TextlintKernel();
const rules = await loaded();
const plugins = [{ pluginId: "text", plugin: plain(textPlugin) }];

await serve(async (text) => {
  const { messages } = await kernel.lintText(text, { ext: ".txt", plugins, rules });
  return messages.map((message) => {
    const of = kind(message.message);
    return { rule: of ? `${message.ruleId}/${of}` : message.ruleId, ...place(text, message) };
  });
});
