import { expect, test } from "vitest";
import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import { DiagnosticLog } from "./diagnostic-log.ts";

const fault = (file: string, line = 1): Diagnostic =>
  errorAbout("WEFT0010", "spec.hots is unknown", { file, at: { file, line, column: 3 } });

test("a diagnostic is news once, and once more when it is gone", () => {
  const log = new DiagnosticLog();
  expect(log.next([fault("a.yaml")])).toEqual({ found: [fault("a.yaml")], solved: [] });
  expect(log.next([fault("a.yaml"), fault("b.yaml")])).toEqual({ found: [fault("b.yaml")], solved: [] });
  expect(log.next([fault("b.yaml")])).toEqual({ found: [], solved: [fault("a.yaml")] });
});

test("a diagnostic whose line moved is no news", () => {
  const log = new DiagnosticLog();
  log.next([fault("a.yaml", 4)]);
  expect(log.next([fault("a.yaml", 9)])).toEqual({ found: [], solved: [] });
});
