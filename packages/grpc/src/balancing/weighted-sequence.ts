/** Beyond this many turns, weights are rounded. */
const maxTurns = 1024;

/**
 * Indexes into `weights`, each as often as its weight says and spread evenly: one round of a weighted round robin.
 *
 * Equal weights give each index once. Every index comes at least once.
 */
export function weightedSequence(weights: readonly number[]): number[] {
  const shares = turns(weights);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const credits = shares.map(() => 0);
  const sequence: number[] = [];
  for (let turn = 0; turn < total; turn++) {
    let best = 0;
    for (let index = 0; index < shares.length; index++) {
      credits[index]! += shares[index]!;
      if (credits[index]! > credits[best]!) best = index;
    }
    credits[best]! -= total;
    sequence.push(best);
  }
  return sequence;
}

/** Whole numbers in the proportion of `weights`, as small as they get. */
function turns(weights: readonly number[]): number[] {
  if (weights.every((weight) => weight === weights[0])) return weights.map(() => 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const allowed = Math.max(maxTurns, weights.length);
  const isExact = total <= allowed && weights.every(Number.isInteger);
  const shares = weights.map((weight) => (isExact ? weight : Math.max(1, Math.round((weight / total) * allowed))));
  const divisor = shares.reduce(greatestCommonDivisor);
  return shares.map((share) => share / divisor);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
