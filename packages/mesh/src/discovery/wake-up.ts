/** A level-triggered bell for one waiter: rung while nobody waits, the next wait returns at once. */
export class WakeUp {
  #isRung = false;
  #resolve: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#resolve?.();
    this.#resolve = undefined;
  }

  async wait(): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#isRung = false;
  }
}
