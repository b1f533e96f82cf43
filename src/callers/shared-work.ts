/** One piece of work per key at a time; those who come meanwhile get its outcome. Nothing is remembered after it. */
export function createSharedWork<Result>() {
  const underWay = new Map<string, Promise<Result>>()

  return (key: string, work: () => Promise<Result>): Promise<Result> => {
    const running = underWay.get(key)
    if (running !== undefined) return running
    const started = work().finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }
}
