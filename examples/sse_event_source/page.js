/** Asks by GET /api/chat/stream?message=…, and shows what the events tell. */
const $ = (id) => document.getElementById(id);
let source = null;

function ask(message) {
  source?.close(); // leaves the answer before; its run goes on by itself
  $("answer").textContent = "";
  $("tools").replaceChildren();
  $("status").textContent = "Waiting …";
  const lines = new Map(); // a line for each call: several may run at once
  const events = (source = new EventSource(`ai/api/chat/stream?message=${encodeURIComponent(message)}`));

  events.addEventListener("token", ({ data }) => {
    $("answer").append(data); // text, not HTML: a model may say anything
  });
  events.addEventListener("tool_start", ({ data }) => {
    const { call_id, name, input } = JSON.parse(data);
    const line = document.createElement("li");
    line.textContent = `… ${name} ${JSON.stringify(input)}`;
    lines.set(call_id, line);
    $("tools").append(line);
  });
  events.addEventListener("tool_complete", ({ data }) => {
    const { call_id, name, output, error, duration_ms } = JSON.parse(data);
    const result = error ? `✗ ${name}: ${error}` : `✓ ${name} → ${output}`;
    lines.get(call_id).textContent = `${result} (${Math.round(duration_ms)} ms)`;
  });
  events.addEventListener("done", ({ data }) => {
    events.close(); // else the browser would come again
    const { finish_reason, usage } = JSON.parse(data);
    $("status").textContent = `Done: ${finish_reason}, ${usage.output} tokens`;
  });
  events.addEventListener("failure", ({ data }) => {
    events.close();
    $("status").textContent = `Failed: ${JSON.parse(data).message}`;
  });
  // Refused, or cut off. After a cut the browser comes again, with the id of the last event.
  events.addEventListener("error", () => {
    const gone = events.readyState === EventSource.CLOSED;
    $("status").textContent = gone ? "The server refused." : "Connecting again …";
  });
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask($("message").value);
});
