// Checks a pattern against the part of RE2's syntax that every gRPC language accepts (Go's regexp, RE2, RE2/J, re2-wasm,
// re2js). A pattern that one of them can't compile makes that client reject the whole resource, so what is doubtful is
// refused here: \C, (?<name>…), scripts that are rare. Nothing is compiled or run.

/** The longest pattern taken. */
export const maxPatternLength = 1024;

const maxRepeat = 1000;
const maxDepth = 100;
const repeat = /^\{(\d{1,5})(,(\d{0,5}))?\}/;
const groupStart = /^\(\?(?:P<([A-Za-z_]\w*)>|[imsU]*(?:-[imsU]+)?:)/;
const flagsOnly = /^\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)\)/;
const posixClass = /^\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]/;
const unicodeClass =
  /^\\[pP](?:[CLMNPSZ]|\{\^?(?:C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?|Arabic|Cyrillic|Devanagari|Greek|Han|Hangul|Hebrew|Hiragana|Katakana|Latin|Thai)\})/;
const hexadecimal = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/;

/** Why `pattern` is not such a regular expression, or undefined where it is one. */
export function checkRe2(pattern: string): string | undefined {
  if (pattern.length > maxPatternLength) return `it is longer than ${maxPatternLength} characters`;
  if (!pattern.isWellFormed()) return "it is not well-formed Unicode";
  return new PatternScan(pattern).run();
}

/** What one group has seen: whether something stands before the cursor that can be repeated, and how deep repetitions multiply. */
interface Group {
  canRepeat: boolean;
  /** The largest product of nested counted repetitions inside this group, and of its last atom. */
  largest: number;
  last: number;
}

class PatternScan {
  readonly #pattern: string;
  #at = 0;
  readonly #groups: Group[] = [{ canRepeat: false, largest: 1, last: 1 }];
  readonly #names = new Set<string>();

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  run(): string | undefined {
    while (this.#at < this.#pattern.length) {
      const problem = this.#step();
      if (problem !== undefined) return `${problem} (at character ${this.#at + 1})`;
    }
    return this.#groups.length > 1 ? "a group is not closed" : undefined;
  }

  get #rest(): string {
    return this.#pattern.slice(this.#at);
  }

  get #group(): Group {
    return this.#groups.at(-1) as Group;
  }

  #step(): string | undefined {
    const char = this.#pattern[this.#at];
    if (char === "(") return this.#open();
    if (char === ")") return this.#close();
    if (char === "[") return this.#class();
    if (char === "\\") return this.#escape();
    if (char === "*" || char === "+" || char === "?") return this.#repeat(1, 1);
    if (char === "{") {
      const counted = repeat.exec(this.#rest);
      if (counted !== null) return this.#countedRepeat(counted);
    }
    if (char === "|") {
      this.#group.canRepeat = false;
      this.#at++;
      return undefined;
    }
    return this.#atom(1);
  }

  /** An atom of `length` characters whose own repetitions multiply to `weight`. */
  #atom(length: number, weight = 1): undefined {
    this.#at += length;
    this.#group.canRepeat = true;
    this.#group.last = weight;
    this.#group.largest = Math.max(this.#group.largest, weight);
    return undefined;
  }

  #countedRepeat([text, from, upTo, to]: RegExpExecArray): string | undefined {
    const least = Number(from);
    const most = upTo === undefined ? least : to === "" ? least : Number(to);
    if (least > most) return `the repetition ${text} is out of order`;
    if (most > maxRepeat) return `a repetition counts above ${maxRepeat}`;
    return this.#repeat(text.length, Math.max(most, 1));
  }

  #repeat(length: number, times: number): string | undefined {
    const group = this.#group;
    if (!group.canRepeat) return "there is nothing to repeat";
    const product = group.last * times;
    if (product > maxRepeat) return `nested repetitions multiply to more than ${maxRepeat}`;
    this.#at += length;
    if (this.#pattern[this.#at] === "?") this.#at++;
    group.canRepeat = false;
    group.last = product;
    group.largest = Math.max(group.largest, product);
    if (/^(?:[*+?]|\{\d+(?:,\d*)?\})/.test(this.#rest))
      return "a repetition is repeated (possessive forms are not RE2)";
    return undefined;
  }

  #open(): string | undefined {
    const rest = this.#rest;
    const flags = flagsOnly.exec(rest);
    if (flags !== null) {
      this.#at += flags[0].length;
      this.#group.canRepeat = false;
      return undefined;
    }
    const [start, name] = rest.startsWith("(?") ? (groupStart.exec(rest) ?? []) : ["("];
    if (start === undefined) {
      if (/^\(\?(?:<?[=!]|>)/.test(rest)) return "lookahead, lookbehind and atomic groups are not RE2";
      if (/^\(\?<[A-Za-z_]/.test(rest)) return "a named group is written (?P<name>…)";
      return "the group is not RE2";
    }
    if (this.#groups.length > maxDepth) return `groups nest deeper than ${maxDepth}`;
    if (name !== undefined && this.#names.has(name)) return `the group name ${name} is given twice`;
    if (name !== undefined) this.#names.add(name);
    this.#at += start.length;
    this.#groups.push({ canRepeat: false, largest: 1, last: 1 });
    return undefined;
  }

  #close(): string | undefined {
    if (this.#groups.length === 1) return "a group is closed that was not opened";
    const closed = this.#groups.pop();
    return this.#atom(1, closed?.largest);
  }

  #escape(): string | undefined {
    const rest = this.#rest;
    if (rest.startsWith("\\Q")) {
      const end = rest.indexOf("\\E");
      // Languages differ on an unclosed or empty quotation.
      return end <= 2 ? "a quotation \\Q…\\E is empty or not closed" : this.#atom(end + 2);
    }
    const length = escapeLength(rest);
    if (typeof length === "number") return this.#atom(length);
    if (/^\\[bBAz]/.test(rest)) return this.#atom(2);
    return length;
  }

  #class(): string | undefined {
    const start = this.#at;
    this.#at += this.#pattern[start + 1] === "^" ? 2 : 1;
    let isFirst = true;
    while (this.#at < this.#pattern.length) {
      if (this.#pattern[this.#at] === "]" && !isFirst) return this.#atom(1);
      isFirst = false;
      const problem = this.#classItem();
      if (problem !== undefined) return problem;
    }
    return "a class is not closed";
  }

  #classItem(): string | undefined {
    const posix = posixClass.exec(this.#rest)?.[0];
    if (posix !== undefined) {
      this.#at += posix.length;
      return undefined;
    }
    if (this.#rest.startsWith("[:")) return "the named class is unknown";
    const from = this.#classCharacter();
    if (typeof from === "string") return from;
    if (this.#pattern[this.#at] !== "-" || this.#pattern[this.#at + 1] === "]") return undefined;
    this.#at++;
    const to = this.#classCharacter();
    if (typeof to === "string") return to;
    if (from === undefined || to === undefined) return "a range in a class ends in a class";
    return from > to ? "a range in a class is out of order" : undefined;
  }

  /** The code point at the cursor, undefined for a class such as \d, or what is wrong; moves on. */
  #classCharacter(): number | string | undefined {
    const rest = this.#rest;
    if (rest === "") return "a class is not closed";
    if (rest[0] !== "\\") {
      const codePoint = rest.codePointAt(0) ?? 0;
      this.#at += codePoint > 0xffff ? 2 : 1;
      return codePoint;
    }
    const length = escapeLength(rest);
    if (typeof length === "string") return length;
    this.#at += length;
    return escapedCodePoint(rest.slice(0, length));
  }
}

/** The length of the escape at the start of `rest` that stands for a character or a class, or what is wrong with it. */
function escapeLength(rest: string): number | string {
  const unicode = unicodeClass.exec(rest)?.[0];
  if (unicode !== undefined) return unicode.length;
  const hex = hexadecimal.exec(rest);
  if (hex !== null) return Number.parseInt(hex[1] ?? hex[2] ?? "", 16) > 0x10ffff ? "no such character" : hex[0].length;
  if (/^\\[afnrtvdDsSwW]/.test(rest)) return 2;
  if (/^\\[!-/:-@[-^`{-~]/.test(rest)) return 2;
  if (/^\\[1-9]/.test(rest)) return "backreferences are not RE2";
  return rest.length < 2 ? "it ends in a backslash" : `the escape ${rest.slice(0, 2)} is not taken`;
}

const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

function escapedCodePoint(text: string): number | undefined {
  const hex = hexadecimal.exec(text);
  if (hex !== null) return Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
  const letter = text[1] ?? "";
  if (/[dDsSwWpP]/.test(letter)) return undefined;
  return controls[letter] ?? letter.codePointAt(0);
}
