import fc from "fast-check";
import { expect, test } from "vitest";
import { Http2Stream } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

test("finds exactly the streams that are open, however long some of them live", () => {
  const command = fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, { weight: 2, arbitrary: fc.nat(400) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 2000, size: "max" }), (commands) => {
      const table = new StreamTable();
      const model = new Map<number, Http2Stream>();
      let next = 1;
      for (const pick of commands) {
        if (pick < 0) {
          const stream = new Http2Stream(next, 0, undefined);
          table.add(stream);
          model.set(next, stream);
          next += 2;
        } else {
          // mostly the newest: old ones live long
          const open = [...model.keys()];
          const id = open[Math.max(0, open.length - 1 - (pick % 7))];
          if (id === undefined) continue;
          table.delete(model.get(id) as Http2Stream);
          model.delete(id);
        }
        expect(table.size).toBe(model.size);
      }
      for (let id = 1; id < next; id += 2) expect(table.get(id)).toBe(model.get(id));
      expect(table.toArray().map((stream) => stream.id)).toEqual([...model.keys()]);
    }),
    { numRuns: 50 },
  );
});

test("deleting twice counts once", () => {
  const table = new StreamTable();
  const stream = new Http2Stream(1, 0, undefined);
  table.add(stream);
  table.delete(stream);
  table.delete(stream);
  expect(table.size).toBe(0);
});
