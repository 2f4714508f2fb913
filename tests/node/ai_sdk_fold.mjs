// Reads UI message streams with the AI SDK itself and prints what a page would show of each.
//
//   node ai_sdk_fold.mjs URL COUNT send|resume|read
//
// `send` and `resume` are `useChat`'s own `Chat`: a question, or a page that was loaded again.
// `read` is `readUIMessageStream`. Each stream is one request to URL; they come one after another.

import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport, readUIMessageStream } from "ai";

const [api, count, how] = process.argv.slice(2);

/** The parts of a message that were not withdrawn. */
function standing(parts) {
  const kept = [];
  for (const part of parts) {
    if (part.type !== "data-retract") {
      kept.push(part);
      continue;
    }
    for (let left = part.data.steps; kept.length; kept.pop())
      if (kept.at(-1).type === "step-start" && left-- === 0) break;
  }
  return kept;
}

function seen(message, more) {
  return { message, standing: standing(message?.parts ?? []), error: null, ...more };
}

async function chat() {
  const passing = [];
  let finish = null;
  const page = new Chat({
    id: "chat_1",
    transport: new DefaultChatTransport({ api }),
    onData: (part) => passing.push(part),
    onFinish: ({ message, messages, ...rest }) => (finish = rest),
  });
  await (how === "resume" ? page.resumeStream() : page.sendMessage({ text: "Hello" }));
  const { messages, status, error } = page;
  const last = messages.at(-1);
  const answers = messages.filter((message) => message.role === "assistant").length;
  const told = { status, finish, passing, answers, error: error?.message ?? null };
  return seen(last?.role === "assistant" ? last : undefined, told);
}

async function read() {
  const question = { id: "1", role: "user", parts: [{ type: "text", text: "Hello" }] };
  const stream = await new DefaultChatTransport({ api }).sendMessages({
    chatId: "chat_1",
    messages: [question],
    trigger: "submit-message",
  });
  let message;
  let error = null;
  const onError = (failure) => (error = failure.message);
  for await (const snapshot of readUIMessageStream({ stream, onError })) message = snapshot;
  return seen(message, { error });
}

const found = [];
for (let i = 0; i < Number(count); i++) found.push(await (how === "read" ? read() : chat()));
console.log(JSON.stringify(found));
