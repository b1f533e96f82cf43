export type Row<Item> = {
  add(item: Item): void
  /** Does what is waiting now. */
  drain(): void
}

/**
 * Collects work of one kind from requests that came in together, and does it one after the other. Each step of
 * a request is short and runs through much code: the second in a row finds that code in the processor's cache,
 * where one that comes between steps of another kind does not. Under load that is a fifth of a hit's time; a
 * request that is alone waits for nothing.
 * @param soon calls back when everybody has come: `setImmediate` after all that was read in this turn of the
 * event loop, `process.nextTick` after the step that is under way
 * @param work must not throw
 */
export function createRow<Item>(
  soon: (callback: () => void) => unknown,
  work: (item: Item) => void,
): Row<Item> {
  let waiting: Item[] = []
  function drain(): void {
    const all = waiting
    waiting = []
    for (const item of all) work(item)
  }
  return {
    add(item) {
      if (waiting.length === 0) soon(drain)
      waiting.push(item)
    },
    drain,
  }
}
