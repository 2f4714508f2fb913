// A page in Chromium, led over stdin and stdout: a JSON line with what to do in, one with what came
// of it out. {call, args} is a method of playwright's Page; ours are `see`, `until` and `complaints`.
// Arguments: the program, its flags and the page's options as JSON.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const [executablePath, args, options] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: JSON.parse(args) });
const page = await browser.newPage(JSON.parse(options));
page.setDefaultTimeout(20_000);

const complaints = [];
page.on("console", (said) => said.type() === "error" && complaints.push(said.text()));
page.on("pageerror", (error) => complaints.push(String(error)));

const has = ([selector, text]) => document.querySelector(selector)?.textContent.includes(text);
const own = {
  see: (selector, text) => page.waitForFunction(has, [selector, text]).then(() => null),
  until: async (expression) => {
    // Not `waitForFunction`, whose `eval` the page's own security policy refuses.
    const late = Date.now() + 20_000;
    while (!(await page.evaluate(expression))) {
      if (Date.now() > late) throw new Error(`It never came to ${expression}.`);
      await sleep(20);
    }
  },
  complaints: () => complaints.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  let told;
  try {
    const value = await (own[call] ?? page[call].bind(page))(...args);
    // What the others give are handles and the like, which are no JSON.
    const tells = ["evaluate", "textContent", "isVisible", "complaints"].includes(call);
    told = { value: tells ? (value ?? null) : null };
  } catch (error) {
    told = { error: String(error) };
  }
  console.log(JSON.stringify(told));
}
await browser.close();
