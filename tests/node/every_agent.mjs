// Conversations with `HttpAgent` of @ag-ui/client, its verifier on.
import { HttpAgent } from "@ag-ui/client";
import { led, until } from "./every_led.mjs";

const agents = new Map();
let warnings = [];
console.warn = (...words) => warnings.push(words.map(String).join(" "));
console.error = () => {}; // it tells of each error there too

/** What was said so far in answer to the last message of the user. */
function answer({ messages }) {
  const since = messages.findLastIndex(({ role }) => role === "user") + 1;
  const told = messages.slice(since).filter(({ role }) => role === "assistant");
  return told.map(({ content }) => content ?? "").join("");
}

led({
  open({ name, url, thread, messages = [], headers = {} }) {
    const asked = [];
    const talk = { asked, finished: null, error: null, failure: null, customs: [] };
    const noting = async (url, init) => {
      asked.push({ status: null, ...JSON.parse(init.body) });
      const response = await fetch(url, init);
      asked.at(-1).status = response.status;
      return response;
    };
    talk.agent = new HttpAgent({
      url,
      threadId: thread,
      initialMessages: messages,
      headers,
      fetch: noting,
    });
    talk.agent.subscribe({
      onRunFinishedEvent: ({ event, outcome, pendingToolCallIds }) => {
        talk.finished = { event, outcome, pending: pendingToolCallIds ?? [] };
      },
      onRunErrorEvent: ({ event }) => void (talk.error = event),
      onCustomEvent: ({ event }) => void talk.customs.push(event),
    });
    agents.set(name, talk);
  },
  /** Says something, where there is something to say, and begins a run; waits for nothing. */
  begin({ name, say, run }) {
    const talk = agents.get(name);
    Object.assign(talk, { finished: null, error: null, failure: null, result: null });
    if (say !== undefined)
      talk.agent.messages.push({ id: `said_${run}`, role: "user", content: say });
    talk.pending = talk.agent.runAgent({ runId: run }).then(
      ({ result = null, newMessages }) => Object.assign(talk, { result, newMessages }),
      (error) => {
        const { message, status = null, payload = null } = error;
        talk.failure = { message, status, payload };
      },
    );
  },
  /** Waits until the answer has these words. */
  async says({ name, words }) {
    const { agent } = agents.get(name);
    await until(() => answer(agent).includes(words), words);
  },
  abort: ({ name }) => agents.get(name).agent.abortRun(),
  /** Waits for what was begun; everything that there is then. */
  async settled({ name }) {
    await agents.get(name).pending;
    const { agent, pending, ...rest } = agents.get(name);
    const complaints = warnings;
    warnings = [];
    return { ...rest, messages: agent.messages, answer: answer(agent), warnings: complaints };
  },
});
