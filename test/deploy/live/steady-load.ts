/** Calls `once` so many times a second until it is stopped. Replies may be late; rejections are nobody's. */
export function steadyLoad(perSecond: number, once: (index: number) => Promise<unknown>) {
  const underWay = new Set<Promise<unknown>>()
  let index = 0
  const timer = setInterval(() => {
    const call = once(index++)
      .catch(() => undefined)
      .finally(() => underWay.delete(call))
    underWay.add(call)
  }, 1000 / perSecond)

  return {
    async stop(): Promise<void> {
      clearInterval(timer)
      await Promise.all(underWay)
    },
  }
}
