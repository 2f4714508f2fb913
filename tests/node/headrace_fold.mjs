// Folds logs with headrace.js: one JSON line in for each, [state, text, states on the way] out.
import { createInterface } from "node:readline";
import { Folder, fold, foldText } from "../../src/headrace/server/pages/headrace.js";

for await (const line of createInterface({ input: process.stdin })) {
  const events = JSON.parse(line);
  const folder = new Folder();
  const states = events.map((event) => {
    folder.add(event);
    return folder.state();
  });
  console.log(JSON.stringify([fold(events), foldText(events), states]));
}
