/** The plain page: one question, its answer as it comes. The run's id stands in the address. */
import { stream, cancel } from "./headrace.js";

const $ = (id) => document.getElementById(id);
let runId = "";
let token = sessionStorage.getItem("headrace-token") ?? "";
let leaving = new AbortController();

/** Follows a run from its first event on; a `question` starts it. */
async function follow(url, question) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const began = question === undefined ? null : performance.now();
  let latest = null; // the state that the next frame shows
  let first = null; // ms to the first token; the run's own measure where we were not there
  const draw = () => {
    if (latest && !signal.aborted) show(latest, first);
    latest = null;
  };
  busy(true, "Waiting for the first token …");
  show({ text: "", reasoning: "", tools: [], status: "running" });
  try {
    const body = question === undefined ? undefined : { input: question };
    const state = await stream(url, {
      token,
      signal,
      body,
      onOpen: ({ runId, resumed }) => {
        name(runId);
        $("stop").disabled = false; // now there is something to stop
        if (resumed) say("");
      },
      onRetry: () => say("The connection was lost. Trying again …"),
      onEvent: (event, state) => {
        if (event.type === "run_start") name(event.run_id);
        if (event.type === "token" && began !== null) first ??= performance.now() - began;
        if (!latest) requestAnimationFrame(draw);
        latest = state;
      },
    });
    latest = null;
    show(state, first ?? state.metrics?.time_to_first_token_ms ?? null);
    busy(false);
  } catch (error) {
    if (signal.aborted) return; // another run is shown now
    draw();
    if (error.status !== 401) return busy(false, `${error.message} ${error.hint ?? ""}`);
    busy(false, "This server knows its people by a token.");
    $("locked").hidden = false;
    $("token").focus();
  }
}

function show(state, first = null) {
  $("answer").textContent = state.text;
  $("reasoning").textContent = state.reasoning;
  $("thinking").hidden = !state.reasoning;
  $("tools").replaceChildren(...state.tools.map(toolLine));
  const time = first === null ? "" : `First token after ${Math.round(first)} ms. `;
  if (state.status === "running") return time && say(time);
  const ended = { complete: "Done", error: "Failed", cancelled: "Stopped" }[state.status];
  const why = state.error_message ?? state.cancel_reason ?? state.finish_reason;
  say(`${time}${ended}${why === "stop" ? "" : `: ${why}`}`);
}

function toolLine({ name, input, output, error, progress }) {
  const line = document.createElement("li");
  const result = error ?? output ?? progress ?? "running …";
  line.textContent = `${name}(${JSON.stringify(input)}) → ${result}`;
  return line;
}

function say(text) {
  $("status").textContent = text;
}

function busy(live, text) {
  $("send").disabled = live;
  $("stop").disabled = true;
  $("answer").setAttribute("aria-busy", live); // read out once, when it is whole
  if (text !== undefined) say(text);
}

function name(id) {
  runId = id || runId;
  if (runId) history.replaceState(null, "", `#${runId}`);
  const bearer = token ? "-H 'authorization: Bearer TOKEN' " : "";
  const post = `curl -N ${bearer}${new URL(".", document.baseURI)}`;
  const json = "-H 'content-type: application/json' -d";
  $("curl").textContent = [
    `${post}chat/stream ${json} '{"message": "Hello"}'`,
    `${post}v1/runs -H 'accept: text/event-stream' ${json} '{"input": "Hello"}'`,
    `${post}v1/runs/${runId || "RUN_ID"}/events`,
  ].join("\n\n");
}

function resume() {
  runId = location.hash.slice(1);
  name(runId);
  if (runId) follow(`v1/runs/${encodeURIComponent(runId)}/events`);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value || token;
  sessionStorage.setItem("headrace-token", token);
  follow("v1/runs", $("input").value);
});
$("token").addEventListener("change", () => {
  token = $("token").value || token;
  resume();
});
$("stop").addEventListener("click", () => {
  $("stop").disabled = true;
  cancel(".", runId, { token, reason: "stopped on the page" }).catch((error) => {
    $("stop").disabled = false;
    say(error.message);
  });
});
addEventListener("hashchange", resume);
resume();
