import { BrokerError } from '../errors.ts'
import { pauseError } from './call-errors.ts'
import { type Deadline, orAborted, type Sleep } from './deadline.ts'
import type { Urgency } from './upstream.ts'

const QUEUE_PER_SLOT = 4

type Waiter = { readonly enter: () => void }

export type GateDeps = { readonly now: () => number; readonly sleep: Sleep }

/**
 * Lets a bounded number of calls through at a time. Callers wait in a short queue; background work waits
 * behind them and never holds more than half of the slots. A pause that the upstream asked for holds for all.
 */
export function createGate(settings: { readonly maxConcurrency: number }, deps: GateDeps) {
  const limits = {
    caller: settings.maxConcurrency,
    background: Math.max(1, Math.floor(settings.maxConcurrency / 2)),
  }
  const waiting: Record<Urgency, Waiter[]> = { caller: [], background: [] }
  const running = { caller: 0, background: 0 }
  let pausedUntil = 0
  let pausing = 0

  const hasRoom = (urgency: Urgency) =>
    running.caller + running.background < settings.maxConcurrency &&
    running[urgency] < limits[urgency]

  function admitNext(): void {
    for (const urgency of ['caller', 'background'] as const) {
      while (waiting[urgency].length > 0 && hasRoom(urgency)) {
        running[urgency]++
        waiting[urgency].shift()?.enter()
      }
    }
  }

  async function enter(urgency: Urgency, deadline: Deadline): Promise<void> {
    const first = urgency === 'caller' || waiting.caller.length === 0
    if (first && waiting[urgency].length === 0 && hasRoom(urgency)) {
      running[urgency]++
      return
    }
    const queue = waiting[urgency]
    if (queue.length >= limits[urgency] * QUEUE_PER_SLOT) throw overloaded()

    const admitted = Promise.withResolvers<void>()
    const waiter: Waiter = { enter: admitted.resolve }
    queue.push(waiter)
    try {
      await orAborted(admitted.promise, deadline.signal)
    } catch {
      const place = queue.indexOf(waiter)
      if (place >= 0) queue.splice(place, 1)
      else leave(urgency)
      throw overloaded()
    }
  }

  function leave(urgency: Urgency): void {
    running[urgency]--
    admitNext()
  }

  async function afterPause(urgency: Urgency, deadline: Deadline): Promise<void> {
    const leftMs = pausedUntil - deps.now()
    if (leftMs <= 0) return
    const tooMany = pausing >= limits.caller * QUEUE_PER_SLOT
    if (urgency === 'background' || tooMany || leftMs >= deadline.remainingMs()) {
      throw pausedFor(leftMs)
    }
    const until = pausedUntil
    pausing++
    try {
      await deps.sleep(leftMs, deadline.signal)
    } catch {
      throw pausedFor(leftMs)
    } finally {
      pausing--
    }
    if (pausedUntil > until) await afterPause(urgency, deadline)
  }

  return {
    /** @throws BrokerError `overloaded`, or `upstream_rate_limited` if the pause outlasts the deadline */
    async run<T>(urgency: Urgency, deadline: Deadline, work: () => Promise<T>): Promise<T> {
      await afterPause(urgency, deadline)
      await enter(urgency, deadline)
      try {
        return await work()
      } finally {
        leave(urgency)
      }
    },
    pauseFor(ms: number): void {
      pausedUntil = Math.max(pausedUntil, deps.now() + ms)
    },
  }
}

export type Gate = ReturnType<typeof createGate>

const overloaded = () =>
  new BrokerError('overloaded', 'too many calls to the token service at once', {
    retryAfterMs: 1000,
  })

const pausedFor = (retryAfterMs: number) => pauseError({ retryAfterMs })
