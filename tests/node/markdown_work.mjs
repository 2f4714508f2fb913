// How many characters are read while texts grow. In: a JSON list of {source, pieces}. Out, for each:
// {read, ended}: characters read until the text had come, and more until it was known to be whole.
import { text } from "node:stream/consumers";
import { MarkdownBlocks } from "../../src/headrace/server/pages/assets/markdown/blocks.js";
import * as markdown from "../../src/headrace/server/pages/assets/markdown/render.js";

function work({ source, pieces }) {
  let read = 0;
  const counted = (reading) => (piece, links) => {
    read += piece.length;
    return reading(piece, links);
  };
  const reading = { split: counted(markdown.split), render: counted(markdown.render) };
  const blocks = new MarkdownBlocks(reading);
  for (let piece = 1; piece <= pieces; piece += 1)
    blocks.update(source.slice(0, Math.round((source.length * piece) / pieces)));
  const growing = read;
  blocks.update(source, { ended: true });
  return { read: growing, ended: read - growing };
}

console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map(work)));
