// Runs @ag-ui/client's HttpAgent, its verifier on, against each URL; tells what it has then.
//
// stdin:  [{"url": …, "messages": [… the conversation before], "say": ["Hi", … a run for each]}, …]
// stdout: [{"messages", "result", "finished", "error", "failure", "customs", "warnings"}, …]
import { readFileSync } from "node:fs";
import { HttpAgent } from "@ag-ui/client";

let warnings = [];
console.warn = (...words) => warnings.push(words.join(" "));
console.error = console.warn;

async function run({ url, messages, say }) {
  warnings = [];
  const agent = new HttpAgent({ url, threadId: "thread_1", initialMessages: messages });
  const seen = { finished: null, error: null, failure: null, result: null, customs: [] };
  agent.subscribe({
    onRunFinishedEvent: ({ event, outcome, pendingToolCallIds }) => {
      seen.finished = { event, outcome, pending: pendingToolCallIds ?? [] };
    },
    onRunErrorEvent: ({ event }) => {
      seen.error = event;
    },
    onCustomEvent: ({ event }) => {
      seen.customs.push(event);
    },
  });
  try {
    for (const [number, content] of say.entries()) {
      agent.messages.push({ id: `said_${number}`, role: "user", content });
      seen.result = (await agent.runAgent({ runId: `run_${number}` })).result ?? null;
    }
  } catch (error) {
    seen.failure = String(error);
  }
  return { messages: agent.messages, warnings, ...seen };
}

const told = [];
for (const asked of JSON.parse(readFileSync(0, "utf8"))) told.push(await run(asked));
process.stdout.write(JSON.stringify(told));
