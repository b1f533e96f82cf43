import { type AskedRequest, matches, type RequestMatch } from './asked.ts'

/** What a request has to go through before it is answered. `false`: whoever asked has gone away. */
export type Patience = {
  /**
   * Holds and delays. It comes after the request was found good and before anything is made, so that
   * requests can be caught in the act of overlapping.
   */
  turn(): Promise<boolean>
  pause(ms: number): Promise<boolean>
}

/** Resolves after that long with `true`, or with `false` as soon as the signal says so. */
export function pause(ms: number, gone: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (gone.aborted) return resolve(false)
    const timer = setTimeout(() => {
      gone.removeEventListener('abort', giveUp)
      resolve(true)
    }, ms)
    timer.unref()
    function giveUp() {
      clearTimeout(timer)
      resolve(false)
    }
    gone.addEventListener('abort', giveUp, { once: true })
  })
}

export type Hold = {
  /** How many it holds now. */
  readonly held: number
  /** Resolves once so many have been caught, those that have been let go counted in. */
  reached(count: number): Promise<void>
  /** Lets the longest held one go, and keeps holding the others and whatever comes. */
  releaseOne(): void
  /** Lets all of them go and holds nothing any more. */
  release(): void
}

/** Keeps requests waiting until a test lets them go. */
export function createHolds() {
  const holds = new Set<{ wanted: RequestMatch; take(gone: AbortSignal): Promise<boolean> }>()

  return {
    hold(wanted: RequestMatch): Hold {
      const waiting: ((go: boolean) => void)[] = []
      let caught = 0
      let watchers: { count: number; tell: () => void }[] = []

      const entry = {
        wanted,
        take: (gone: AbortSignal) =>
          new Promise<boolean>((resolve) => {
            const go = (answer: boolean) => {
              const place = waiting.indexOf(go)
              if (place >= 0) waiting.splice(place, 1)
              resolve(answer)
            }
            gone.addEventListener('abort', () => go(false), { once: true })
            waiting.push(go)
            caught += 1
            for (const { tell } of watchers.filter(({ count }) => count <= caught)) tell()
            watchers = watchers.filter(({ count }) => count > caught)
          }),
      }
      holds.add(entry)

      return {
        get held() {
          return waiting.length
        },
        reached: (count) =>
          new Promise((tell) => {
            if (caught >= count) tell()
            else watchers.push({ count, tell })
          }),
        releaseOne: () => waiting[0]?.(true),
        release() {
          holds.delete(entry)
          for (const go of [...waiting]) go(true)
        },
      }
    },

    async pass(request: AskedRequest, gone: AbortSignal): Promise<boolean> {
      for (const hold of [...holds]) {
        if (!matches(hold.wanted, request)) continue
        if (gone.aborted || !(await hold.take(gone))) return false
      }
      return !gone.aborted
    },
  }
}

export type Holds = ReturnType<typeof createHolds>
