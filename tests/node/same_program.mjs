// Whether two texts are the same module, as acorn reads them: the same syntax tree, each node of it
// on the same lines. One JSON line in for each [source, text]; out: "same", "other", or "invalid"
// where the source is no module.
import { createInterface } from "node:readline";
import { parse } from "acorn";

const OPTIONS = { ecmaVersion: "latest", sourceType: "module", locations: true };

/** The tree as text, without the places of which only the lines count. */
function tree(text) {
  return JSON.stringify(parse(text, OPTIONS), (key, value) => {
    if (key === "start" || key === "end") return undefined;
    if (key === "loc") return [value.start.line, value.end.line];
    return typeof value === "bigint" ? String(value) : value;
  });
}

function told(source, text) {
  let expected;
  try {
    expected = tree(source);
  } catch {
    return "invalid";
  }
  try {
    return tree(text) === expected ? "same" : "other";
  } catch {
    return "other";
  }
}

for await (const line of createInterface({ input: process.stdin }))
  console.log(told(...JSON.parse(line)));
