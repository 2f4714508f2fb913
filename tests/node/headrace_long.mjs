// Parses one stream from stdin, as it comes; prints the length of each event's data.
import { SSEParser } from "../../src/headrace/server/pages/headrace.js";

const parser = new SSEParser();
const lengths = [];
let code = null;
function take(chunk) {
  try {
    lengths.push(...parser.feed(chunk).map((event) => event.data.length));
  } catch (error) {
    code ??= error.code;
  }
}
for await (const chunk of process.stdin) take(chunk);
take("");
console.log(JSON.stringify({ lengths, code }));
