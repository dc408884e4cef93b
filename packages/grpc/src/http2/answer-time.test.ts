import { expect, test } from "vitest";
import { AnswerTime, longAnswerMs } from "./answer-time.ts";
import { ManualClock } from "./testing/manual-clock.ts";

/** One stream a turn, from id 1 on, each answered after its time. */
function answered(times: readonly number[]): AnswerTime {
  const clock = new ManualClock();
  const answerTime = new AnswerTime(clock);
  for (const [index, ms] of times.entries()) {
    answerTime.onTurnSent(index * 2 + 3);
    clock.advance(ms);
    answerTime.onStreamEnd(index * 2 + 1);
  }
  return answerTime;
}

test("is long once answers take long, and short again when they no longer do", () => {
  const long = new Array<number>(20).fill(longAnswerMs * 2);
  expect(answered([]).isLong).toBe(false);
  expect(answered(long).isLong).toBe(true);
  expect(answered([...long, ...new Array<number>(20).fill(0)]).isLong).toBe(false);
});

test("is not long for one answer among many", () => {
  expect(answered([0.1, 0.1, 2, 0.1, 0.1]).isLong).toBe(false);
});

test("goes on while a stream stays open, and turns without new streams pass", () => {
  const clock = new ManualClock();
  const answerTime = new AnswerTime(clock);
  answerTime.onTurnSent(3); // stream 1 stays open
  for (let id = 3; id < 43; id += 2) {
    answerTime.onTurnSent(id + 2);
    answerTime.onTurnSent(id + 2);
    clock.advance(longAnswerMs * 2);
    answerTime.onStreamEnd(id);
  }
  expect(answerTime.isLong).toBe(true);
});
