// Chromium, led over stdin and stdout: a JSON line with what to do in, one with what came of it out.
// {on, call, args}: `on` is "" for the browser or the id of a context or a page; `call` is a method
// of playwright's, or one of those below. Arguments: the program and its flags as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const PATIENCE = 20_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const [executablePath, args] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: JSON.parse(args) });
const things = new Map();
let thingsSoFar = 0;

function known(thing) {
  const id = `${(thingsSoFar += 1)}`;
  things.set(id, thing);
  return id;
}

/** The tasks of the pages' main threads in a trace, in ms: how long, and of that on the processor. */
function tasksOf({ traceEvents }) {
  const mains = traceEvents
    .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
    .map(({ pid, tid }) => `${pid} ${tid}`);
  return traceEvents
    .filter(({ name, pid, tid }) => /RunTask$/.test(name) && mains.includes(`${pid} ${tid}`))
    .map(({ dur = 0, tdur = 0 }) => [dur / 1000, tdur / 1000]);
}

const has = ([selector, text]) => document.querySelector(selector)?.textContent.includes(text);
const violations = async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, impact, nodes }) => ({
    id,
    impact,
    nodes: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`),
  }));
};

class LedContext {
  requests = [];
  #holds = false;
  #held = [];

  constructor(context) {
    this.context = context;
    context.setDefaultTimeout(PATIENCE);
    context.on("request", (request) =>
      this.requests.push([request.method(), request.url(), request.resourceType()]),
    );
  }

  newPage = async () => known(new LedPage(await this.context.newPage()));
  setOffline = (offline) => this.context.setOffline(offline);
  close = () => this.context.close();
  asked = () => this.requests.splice(0);

  /** Answers with this in place of what the server has at such an address. */
  replace = (pattern, body) =>
    this.context.route(new RegExp(pattern), async (route) => {
      const response = await route.fetch();
      const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
      await route.fulfill({ response, headers, body });
    });

  /** Keeps requests of such addresses waiting until `release`. */
  hold(pattern) {
    this.#holds = true;
    return this.context.route(new RegExp(pattern), (route) =>
      this.#holds ? this.#held.push(route) : route.fallback(),
    );
  }
  held = () => this.#held.length;
  async release() {
    this.#holds = false;
    await Promise.all(this.#held.splice(0).map((route) => route.fallback()));
  }
}

class LedPage {
  #complaints = [];

  constructor(page) {
    this.page = page;
    const complain = (told) => this.#complaints.push(told);
    page.on("console", (said) => {
      if (said.type() === "error") complain(`${said.text()} (${said.location().url})`);
    });
    page.on("pageerror", (error) => complain(String(error)));
    page.on("crash", () => complain("The page crashed."));
  }

  see = (selector, text) => this.page.waitForFunction(has, [selector, text]);
  async until(expression) {
    // Not `waitForFunction`, whose `eval` the page's own security policy refuses.
    const late = Date.now() + PATIENCE;
    while (!(await this.page.evaluate(expression))) {
      if (Date.now() > late) throw new Error(`It never came to ${expression}.`);
      await sleep(20);
    }
  }
  complaints = () => this.#complaints.splice(0);
  keyboard = (key) => this.page.keyboard.press(key);
  write = (text) => this.page.keyboard.type(text);
  wheel = (pixels) => this.page.mouse.wheel(0, pixels);
  count = (selector) => this.page.locator(selector).count();
  texts = (selector) => this.page.locator(selector).allTextContents();
  trace = () => browser.startTracing(this.page, { categories: ["toplevel"] });
  tasks = async () => tasksOf(JSON.parse(await browser.stopTracing()));
  async violations() {
    await this.page.evaluate(AXE);
    return this.page.evaluate(violations);
  }
}

const own = {
  async newContext(options) {
    return known(new LedContext(await browser.newContext(options)));
  },
};

async function done({ on, call, args }) {
  const thing = on === "" ? own : things.get(on);
  const value = await (call in thing ? thing[call](...args) : thing.page[call](...args));
  // What some give are handles and the like, which are no JSON.
  return ["string", "number", "boolean"].includes(typeof value) || isPlain(value) ? value : null;
}

const isPlain = (value) => [Object.prototype, Array.prototype].includes(prototypeOf(value));
const prototypeOf = (value) => (value ? Object.getPrototypeOf(value) : null);

for await (const line of createInterface({ input: process.stdin })) {
  let told;
  try {
    told = { value: await done(JSON.parse(line)) };
  } catch (error) {
    told = { error: String(error) };
  }
  console.log(JSON.stringify(told));
}
await browser.close();
