// Follows logs with the chat page's Timeline. An array of events in for each, as a JSON line. Out:
// {answer, texts, kept, frozen}: the whole; the root's text after each event; whether what did not
// change stayed the same object; whether what was given out once never changed.
import { createInterface } from "node:readline";
import { Timeline } from "../../src/headrace/server/pages/assets/chat/timeline.js";
import { answerText } from "../../src/headrace/server/pages/assets/chat/conversation.js";

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

for await (const line of createInterface({ input: process.stdin })) {
  const timeline = new Timeline();
  const given = [];
  const texts = [];
  let [kept, before] = [true, []];
  for (const event of JSON.parse(line)) {
    timeline.add(event);
    const answer = timeline.answer();
    texts.push(answerText(answer));
    for (const part of answer.parts) {
      const old = before.find(({ key }) => key === part.key);
      if (old && old !== part && same(old, part) && part.kind !== "agent") kept = false;
    }
    given.push([answer, JSON.stringify(answer)]);
    before = answer.parts;
  }
  const frozen = given.every(([answer, was]) => JSON.stringify(answer) === was);
  console.log(JSON.stringify({ answer: timeline.answer(), texts, kept, frozen }));
}
