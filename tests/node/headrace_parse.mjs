// Parses event streams with headrace.js, in every cut: one JSON line in for each, one out.
// In: {data: base64, bounds?: {maxLine, maxEvent}}. Out: [events, lastEventId, retry, error code],
// with `same` false where any way of cutting or of feeding gave another outcome, and in `after`
// how many events were out after each byte.
import { createInterface } from "node:readline";
import { SSEParser } from "../../src/headrace/server/pages/headrace.js";

function run(chunks, bounds) {
  const parser = new SSEParser(bounds);
  const events = [];
  const after = [];
  let code = null;
  try {
    for (const chunk of chunks) {
      events.push(...parser.feed(chunk));
      after.push(events.length);
    }
    parser.feed(""); // what a call with events could not throw
  } catch (error) {
    code = error.code;
  }
  return { outcome: [events, parser.lastEventId, parser.retry, code], after };
}

function* cuttings(data) {
  yield [data];
  for (let at = 0; at <= data.length; at += 1) yield [data.slice(0, at), data.slice(at)];
  for (const step of [2, 3, 5, 11]) {
    const starts = Array.from({ length: Math.ceil(data.length / step) }, (_, i) => i * step);
    yield starts.map((start) => data.slice(start, start + step));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { data, bounds } = JSON.parse(line);
  const bytes = new Uint8Array(Buffer.from(data, "base64"));
  const { outcome, after } = run(Array.from(bytes, (byte) => Uint8Array.of(byte)), bounds);
  const expected = JSON.stringify(outcome);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const same = [bytes, text].every((whole) =>
    [...cuttings(whole)].every((cut) => JSON.stringify(run(cut, bounds).outcome) === expected),
  );
  console.log(JSON.stringify({ outcome, after, same }));
}
