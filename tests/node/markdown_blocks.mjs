// Feeds texts to MarkdownBlocks in the cuts that it is told, and compares. One JSON line in for each
// {texts: [...]}: what the text is, one after the other. Out: {blocks, once, whole, changed}: the
// blocks at the end, those of a reader who came only then, the HTML of the last text read as a
// whole (without any blocks), and the keys of finished blocks that became others although the text
// had only grown.
import { createInterface } from "node:readline";
import { MarkdownBlocks } from "../../src/headrace/server/pages/assets/markdown/blocks.js";
import { render } from "../../src/headrace/server/pages/assets/markdown/render.js";

/** Finished blocks of before that are not there any more, as the same objects. */
function lost(before, after) {
  const kept = new Set(after);
  return before.filter((block) => !block.open && !kept.has(block)).map(({ key }) => key);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { texts } = JSON.parse(line);
  const growing = new MarkdownBlocks();
  const changed = [];
  let [shown, before] = [[], ""];
  for (const text of texts) {
    const now = growing.update(text);
    if (text.startsWith(before)) changed.push(...lost(shown, now));
    [shown, before] = [now, text];
  }
  const blocks = growing.update(before, { ended: true });
  const once = new MarkdownBlocks().update(before, { ended: true });
  const { html, code } = render(before, {});
  console.log(JSON.stringify({ blocks, once, whole: { html, code }, changed }));
}
