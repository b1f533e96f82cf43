import { setTimeout as delay } from 'node:timers/promises'

/** The time that one piece of work has, over all its calls and pauses. */
export type Deadline = {
  readonly signal: AbortSignal
  remainingMs(): number
  /** To be called when the work is done, so that no timer outlives it. */
  clear(): void
}

/** Measured by the monotonic clock: a wall clock that is set meanwhile neither ends nor extends it. */
export function createDeadline(ms: number): Deadline {
  const endsAt = performance.now() + ms
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), ms)
  timer.unref()
  return {
    signal: controller.signal,
    remainingMs: () => Math.max(0, endsAt - performance.now()),
    clear: () => clearTimeout(timer),
  }
}

/** Resolves after the time; rejects when the signal comes first. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>

export const sleep: Sleep = async (ms, signal) => {
  await delay(ms, undefined, { signal, ref: false })
}

/** The work, unless the signal comes first; the work itself goes on for whoever else waits for it. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(new Error('the deadline has passed'))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
