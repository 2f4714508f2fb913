/**
 * What a page with `useChat` needs to talk to Headrace (npm: ai@6, @ai-sdk/react@3, react).
 *
 *     import { createElement as h } from "react";
 *     import { useChat } from "@ai-sdk/react";
 *     import { headraceChat, stop, textOf } from "./chat.mjs";
 *
 *     export function ChatPage({ id, saved }) {
 *       const { messages, sendMessage, status } = useChat(headraceChat(id, saved));
 *       return h("main", null,
 *         messages.map((message) => h("p", { key: message.id }, textOf(message))),
 *         h("button", { onClick: () => sendMessage({ text: "How does Headrace cancel a run?" }) }, "Ask"),
 *         h("button", { disabled: status !== "streaming", onClick: () => stop(messages) }, "Stop"));
 *     }
 *
 * `base` is where Headrace is mounted, such as "/ai"; "" where the page comes from its own server.
 */
import { DefaultChatTransport } from "ai";

/**
 * The options of `useChat`. `saved` are the messages that the page has kept, by `onFinish` say; with
 * `resume` it asks when it is loaded for an answer that still goes on, and gets it from its start.
 */
export function headraceChat(id, saved = [], base = "") {
  const transport = new DefaultChatTransport({
    api: `${base}/api/chat?retract=1`, // this page can take text back, see `standing`
    prepareReconnectToStreamRequest: ({ id }) => ({
      api: `${base}/api/chat/${encodeURIComponent(id)}/stream`,
    }),
  });
  return { id, messages: saved, resume: true, transport };
}

/**
 * The parts of a message that count. Where a model broke off in mid-answer and began anew, a part
 * `data-retract` stands behind what it had said, and withdraws so many steps.
 */
export function standing(parts) {
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

/** A message as text. */
export function textOf({ parts }) {
  return standing(parts)
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("");
}

/**
 * Ends the answer that goes on. The `stop` of `useChat` only leaves it: its run would go on, so that
 * a page that is loaded again finds it. This ends the run, and the stream with it.
 */
export async function stop(messages, base = "") {
  const runId = messages.at(-1)?.metadata?.runId;
  if (runId) await fetch(`${base}/v1/runs/${runId}/cancel`, { method: "POST" });
}
