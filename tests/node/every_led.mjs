// A program that is led over stdin and stdout: {call, args} in one line in, what came of it out.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits for a state of ours that nothing announces. */
export async function until(state, what) {
  const late = Date.now() + 20_000;
  while (!state()) {
    if (Date.now() > late) throw new Error(`It never came to ${what}.`);
    await sleep(1);
  }
}

/** Does what it is told, one call after the other, to the end of stdin. */
export async function led(calls) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, args } = JSON.parse(line);
    let told;
    try {
      told = { value: (await calls[call](args)) ?? null };
    } catch (error) {
      told = { error: String(error?.stack ?? error) };
    }
    console.log(JSON.stringify(told));
  }
  process.exit(0); // connections that are kept alive would hold it
}
