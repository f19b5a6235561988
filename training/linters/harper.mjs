// Harper's core in WebAssembly. A rule is named after the kind of its lints and itself.
import { webcrypto } from "node:crypto";
import { LocalLinter } from "harper.js";
import { binaryInlined } from "harper.js/binaryInlined";
import { serve } from "./serve.mjs";

// Node.js 18 has no global of this name, which Harper draws random numbers from.
globalThis.crypto ??= webcrypto;
const linter = new LocalLinter({ binary: binaryInlined });
await linter.setup();

await serve(async (text) => {
  const groups = await linter.organizedLints(text, { language: "plaintext" });
  return Object.entries(groups).flatMap(([rule, lints]) =>
    lints.map((lint) => {
      const { start, end } = lint.span();
      const complaint = { rule: `${lint.lint_kind()}/${rule}`, start, end };
      lint.free();
      return complaint;
    }),
  );
});
