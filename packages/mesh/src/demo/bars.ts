/** A distribution drawn as bars of text, one line a name: `v2 ████████████████████▏ 803 (80.3 %)`. */
export function bars(counts: ReadonlyMap<string, number>, width = 50): string[] {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const nameWidth = Math.max(...[...counts.keys()].map((name) => name.length));
  return [...counts].map(([name, count]) => {
    const share = total === 0 ? 0 : count / total;
    return `${name.padEnd(nameWidth)} ${"█".repeat(Math.round(share * width)).padEnd(width, "░")} ${count} (${(share * 100).toFixed(1)} %)`;
  });
}
