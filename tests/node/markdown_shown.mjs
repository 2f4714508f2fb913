// What MarkdownBlocks shows of texts that have not ended: a JSON list of texts in, of blocks out.
import { text } from "node:stream/consumers";
import { MarkdownBlocks } from "../../src/headrace/server/pages/assets/markdown/blocks.js";

const shown = JSON.parse(await text(process.stdin)).map((source) => [
  new MarkdownBlocks().update(source),
  new MarkdownBlocks().update(source, { ended: true }),
]);
console.log(JSON.stringify(shown));
