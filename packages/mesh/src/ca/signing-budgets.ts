import { RequestBudget } from "../authn/request-budget.ts";

/** All processes of one identity share its budget; a deployment of a thousand may start at once. */
const burst = 1_000;
const perSecond = 10;
const mostIdentities = 10_000;

/** How often each identity may have a certificate signed: what one stolen credential can cost the authority. */
export class SigningBudgets {
  /** The least recently used first. */
  readonly #budgets = new Map<string, RequestBudget>();

  /** Takes one of `spiffeId`'s; false where none is left. */
  spend(spiffeId: string, nowMs: number): boolean {
    const budget = this.#budgets.get(spiffeId) ?? new RequestBudget(perSecond, burst, nowMs);
    this.#budgets.delete(spiffeId);
    this.#budgets.set(spiffeId, budget);
    const [oldest] = this.#budgets.keys();
    if (this.#budgets.size > mostIdentities && oldest !== undefined) this.#budgets.delete(oldest);
    return budget.spend(nowMs);
  }
}
