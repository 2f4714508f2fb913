/** A run played again: what its reader saw, at any moment and at any speed. */
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { cut, ms, plural } from "./format.js";
import { SPEEDS } from "./replay.js";

const MOST_TOOLS = 100;

/**
 * @param {object} props
 * @param {import("./replay.js").Replay} props.replay
 * @param {boolean} props.live Whether the run still goes on.
 * @param {boolean} props.following Whether the end is shown, wherever it is by now.
 * @param {(ms: number) => void} props.onSeek `Infinity` is the end.
 * @param {() => void} props.onMove Called when the position has moved by itself.
 */
export function ReplayView({ replay, live, following, onSeek, onMove }) {
  const [speed, setSpeed] = useState(1);
  const [playing, setPlaying] = useState(false);
  usePlaying(replay, playing, speed, () => {
    onMove();
    if (replay.over) setPlaying(false);
  });
  const play = () => {
    if (!playing && (replay.over || following)) onSeek(0);
    setPlaying(!playing);
  };
  const { duration, position } = replay;
  return html`
    <section
      class="panel"
      id="replay"
      aria-labelledby="replay-title"
      data-over=${String(replay.over)}
    >
      <h2 id="replay-title">Replay</h2>
      <div class="controls">
        <button type="button" class="play" onClick=${play}>${playing ? "Pause" : "Play"}</button>
        <div role="group" aria-label="Speed" class="speeds">
          ${SPEEDS.map(
            (each) => html`<button
              type="button"
              class="speed"
              data-speed=${each === Infinity ? "max" : each}
              aria-pressed=${String(each === speed)}
              onClick=${() => setSpeed(each)}
            >
              ${each === Infinity ? "max" : `${each}×`}
            </button>`,
          )}
        </div>
        <input
          type="range"
          class="scrubber"
          aria-label="Moment of the run"
          aria-valuetext=${`${ms(position)} of ${ms(duration)}`}
          min="0"
          max=${duration}
          step="any"
          value=${position}
          onInput=${(event) => {
            setPlaying(false);
            onSeek(Number(event.target.value));
          }}
        />
        <output class="moment">${ms(position)} of ${ms(duration)}</output>
        ${live &&
        !following &&
        html`<button type="button" class="to-live" onClick=${() => onSeek(Infinity)}>Live</button>`}
      </div>
      <${Moment} state=${replay.folder} />
    </section>
  `;
}

/** What stood there at that moment; all of it as text. */
function Moment({ state }) {
  const { text, reasoning, tools } = state;
  const earlier = tools.length - MOST_TOOLS;
  return html`
    ${reasoning &&
    html`<details class="thinking">
      <summary>Reasoning</summary>
      <p id="replay-reasoning">${reasoning}</p>
    </details>`}
    ${tools.length > 0 &&
    html`<ul id="replay-tools" aria-label="Tool calls">
      ${tools.slice(-MOST_TOOLS).map((tool) => html`<li key=${tool.seq}>${toolLine(tool)}</li>`)}
    </ul>`}
    ${earlier > 0 && html`<p class="note">${plural(earlier, "earlier call")} not shown.</p>`}
    <p id="replay-text" tabindex="0" role="region" aria-label="The answer at that moment">
      ${text}
    </p>
  `;
}

function toolLine({ name, input, output, error, progress }) {
  const call = `${name}(${cut(JSON.stringify(input) ?? "", 300)})`;
  return `${call} → ${cut(error ?? output ?? progress ?? "running …", 300)}`;
}

/** Moves the position on with the clock while it plays. */
function usePlaying(replay, playing, speed, onMove) {
  const moved = useRef(onMove);
  moved.current = onMove;
  useEffect(() => {
    if (!playing) return;
    let before = performance.now();
    let frame = requestAnimationFrame(function tick(now) {
      replay.advance(Math.max(0, now - before), speed);
      before = now;
      moved.current();
      if (!replay.over) frame = requestAnimationFrame(tick);
    });
    return () => cancelAnimationFrame(frame);
  }, [replay, playing, speed]);
}
