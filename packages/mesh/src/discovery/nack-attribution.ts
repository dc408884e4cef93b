/**
 * Which of `candidates` a NACK is about, going by its text; all of them where it names none.
 *
 * A NACK is free text about a whole response, but the known clients quote the names they refuse. Longer names are looked for
 * first and taken out, so that `echo` is not blamed for what is said of `echo.shop`.
 */
export function attributeNack(text: string, candidates: readonly string[]): readonly string[] {
  let rest = text.slice(0, maxSearchedLength);
  const blamed = [...candidates]
    .sort((a, b) => b.length - a.length)
    .filter((name) => {
      if (name === "" || !mentions(rest, name)) return false;
      rest = rest.replaceAll(name, "\0");
      return true;
    });
  return blamed.length > 0 ? blamed : candidates;
}

const maxSearchedLength = 64 * 1024;

function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    if (!isNamePart(text[at - 1]) && !isNamePart(text[at + name.length])) return true;
  }
  return false;
}

function isNamePart(character: string | undefined): boolean {
  return character !== undefined && /[A-Za-z0-9_|-]/.test(character);
}
