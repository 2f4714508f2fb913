// Calls pure functions of the chat page: a JSON line [module, function, ...arguments] in for each,
// what it gives as JSON out.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const [module, name, ...args] = JSON.parse(line);
  const at = `../../src/headrace/server/pages/assets/chat/${module}.js`;
  console.log(JSON.stringify((await import(at))[name](...args) ?? null));
}
