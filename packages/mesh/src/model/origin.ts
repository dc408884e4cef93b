import type { SourceRange } from "./diagnostic.ts";

/** Where a resource was written. Two resources that differ only in this mean the same. */
export interface Origin {
  readonly file: string;
  /** Of the text's first line in the file. */
  readonly line: number;
  /** The resource's own document, complete in itself: what a store keeps. */
  readonly text: string;
  /** False for an item of a List, whose text was made from the item's value: its lines aren't the file's. */
  readonly isVerbatim: boolean;
  /** The resource's own place. */
  readonly range: SourceRange;
}

/** An origin for a resource that was never text (made by a program or a test). */
export function syntheticOrigin(file: string): Origin {
  return { file, line: 1, text: "", isVerbatim: false, range: { file, line: 1, column: 1 } };
}
