// Reads event streams with eventsource-parser and prints the frames of each.
// stdin:  a JSON array of streams;  stdout: [[[event, data, id], …], …]
import { readFileSync } from "node:fs";
import { createParser } from "eventsource-parser";

const told = JSON.parse(readFileSync(0, "utf8")).map((stream) => {
  const frames = [];
  const parser = createParser({
    onEvent: ({ event, data, id }) => frames.push([event ?? "message", data, id ?? null]),
    onError: (error) => frames.push(["error", String(error), null]),
  });
  parser.feed(stream);
  return frames;
});
process.stdout.write(JSON.stringify(told));
