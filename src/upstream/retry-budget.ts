const WINDOW_SECONDS = 60
const FLOOR = 10
const SHARE = 0.1

/** Retries may be a tenth of the last minute's calls, or ten: an upstream in trouble is not asked twice as often. */
export function createRetryBudget(deps: { readonly now: () => number }) {
  let seconds: { at: number; calls: number; retries: number }[] = []

  function current() {
    const at = Math.floor(deps.now() / 1000)
    const last = seconds.at(-1)
    if (last?.at === at) return last
    // A clock that was set back must not keep what is now the future.
    seconds = seconds.filter((second) => second.at > at - WINDOW_SECONDS && second.at < at)
    const fresh = { at, calls: 0, retries: 0 }
    seconds.push(fresh)
    return fresh
  }

  return {
    called(): void {
      current().calls++
    },
    /** Whether one more retry is within the budget; it is taken if so. */
    take(): boolean {
      const second = current()
      const calls = seconds.reduce((sum, { calls }) => sum + calls, 0)
      const retries = seconds.reduce((sum, { retries }) => sum + retries, 0)
      if (retries >= Math.max(FLOOR, calls * SHARE)) return false
      second.retries++
      return true
    },
  }
}

export type RetryBudget = ReturnType<typeof createRetryBudget>
