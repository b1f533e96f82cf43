const TICK_MS = 10
/** What one turn may count for at most: in a longer one we were not listening. */
const MOST_PER_TICK_MS = 2 * TICK_MS

export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

/**
 * Limits the time that calls wait, counting only the time in which this process could have heard an
 * answer. After a burst that kept the event loop busy the answers lie in the socket unread, and a
 * plain timer would call them late.
 */
export function createPatience(limitMs: number): <T>(work: Promise<T>) => Promise<T> {
  let listenedMs = 0
  let tickedAt = 0
  let ticking = false
  // In the order of their deadlines, since all wait equally long.
  const waiting = new Set<{ readonly since: number; giveUp(): void }>()

  function tick(): void {
    const now = performance.now()
    listenedMs += Math.min(now - tickedAt, MOST_PER_TICK_MS)
    tickedAt = now
    for (const call of waiting) {
      if (listenedMs - call.since < limitMs) break
      waiting.delete(call)
      call.giveUp()
    }
    ticking = waiting.size > 0
    if (ticking) setTimeout(tick, TICK_MS).unref()
  }

  return (work) =>
    new Promise((resolve, reject) => {
      const call = {
        since: listenedMs,
        giveUp: () => reject(new NoAnswerError('Redis has not answered in time')),
      }
      waiting.add(call)
      if (!ticking) {
        ticking = true
        tickedAt = performance.now()
        setTimeout(tick, TICK_MS).unref()
      }
      work.then(
        (value) => {
          waiting.delete(call)
          resolve(value)
        },
        (error: unknown) => {
          waiting.delete(call)
          reject(error)
        },
      )
    })
}
