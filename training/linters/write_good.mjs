// write-good joins the reasons of checks that mark the same words, so each check is asked alone.
import writeGood from "write-good";
import { serve } from "./serve.mjs";

const CHECKS = ["weasel", "illusion", "so", "thereIs", "passive", "adverb", "tooWordy", "cliches"];
const none = Object.fromEntries([...CHECKS, "eprime"].map((name) => [name, false]));

await serve((text) =>
  CHECKS.flatMap((rule) =>
    writeGood(text, { ...none, [rule]: true }).map(({ index, offset }) => ({
      rule, start: index, end: index + offset,
    })),
  ),
);
