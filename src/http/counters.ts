import type { SharedCounters } from './shared-counters.ts'

/** How often something happened in the window that is open now, and how long that stays open. */
export type Count = { readonly count: number; readonly resetMs: number }

export type Limit = { readonly max: number; readonly windowMs: number }

export type Counters = {
  /** Adds one; at once, where this process can tell the count by itself. */
  add(name: string, limit: Limit): Count | Promise<Count>
  /** Like `add`, without adding. */
  read(name: string, limit: Limit): Count | Promise<Count>
}

/** Those that ask nobody. */
export type LocalCounters = {
  readonly [Way in keyof Counters]: (...of: Parameters<Counters[Way]>) => Count
}

/** As many as are counted at once in one process; past that the window that was opened first is forgotten. */
const MOST_LOCAL = 200_000

/** Fixed windows, opened by the first event. The clock is passed in; a clock set back ends the window. */
export function createLocalCounters(now: () => number = Date.now): LocalCounters {
  const windows = new Map<string, { count: number; endsAt: number }>()

  const open = (name: string, windowMs: number, at: number) => {
    const window = windows.get(name)
    const leftMs = window ? window.endsAt - at : 0
    return window && leftMs > 0 && leftMs <= windowMs ? window : undefined
  }
  function begin(name: string, endsAt: number) {
    const window = { count: 0, endsAt }
    // The map keeps the order of the beginnings, and those that began first end first.
    windows.delete(name)
    windows.set(name, window)
    const [first] = windows.size > MOST_LOCAL ? windows.keys() : []
    if (first !== undefined) windows.delete(first)
    return window
  }
  return {
    add(name, { windowMs }) {
      const at = now()
      const window = open(name, windowMs, at) ?? begin(name, at + windowMs)
      window.count++
      return { count: window.count, resetMs: window.endsAt - at }
    },
    read(name, { windowMs }) {
      const at = now()
      const window = open(name, windowMs, at)
      return window
        ? { count: window.count, resetMs: window.endsAt - at }
        : { count: 0, resetMs: 0 }
    },
  }
}

/** Shared counters, and local ones while those are out of reach: a limit is kept, only not over replicas. */
export const orLocally = (shared: SharedCounters, local: LocalCounters): Counters => ({
  add(name, limit) {
    const count = shared.add(name, limit)
    return count instanceof Promise ? count.catch(() => local.add(name, limit)) : count
  },
  read: (name, limit) => shared.read(name).catch(() => local.read(name, limit)),
})
