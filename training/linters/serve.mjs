// One long process a linter: a line of JSON in, {"text"}, a line of JSON out, {"complaints"} or {"failure"}.
import { createInterface } from "node:readline";

/** Answer every line of standard input by `complaints(text)`: [{rule, start, end}] in UTF-16 code units. */
export async function serve(complaints) {
  process.stdout.write(JSON.stringify({ ready: true }) + "\n");
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    let answer;
    try {
      answer = { complaints: await complaints(JSON.parse(line).text) };
    } catch (error) {
      answer = { failure: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}
