import type { Urgency } from '../upstream/upstream.ts'

/** One piece of work that everybody who wants its result waits for. */
export type Flight<T> = {
  readonly result: Promise<T>
  readonly urgency: Urgency
  readonly customerId: string
  /** The customer was evicted meanwhile: whoever waits gets the result, and nobody keeps it. */
  evicted: boolean
}

export type Flights<T> = {
  find(key: string): Flight<T> | undefined
  launch(
    key: string,
    customerId: string,
    urgency: Urgency,
    work: (flight: Flight<T>) => Promise<T>,
  ): Flight<T>
  /** Later callers start anew; `null` means every customer's flights. */
  evict(customerId: string | null): void
  readonly count: number
}

/** Failures are shared but not remembered: the next caller starts afresh. */
export function createFlights<T>(): Flights<T> {
  const running = new Map<string, Flight<T>>()
  // Apart from the others, because an evicted flight is no longer to be found, and still to be told
  // of a second eviction.
  const inTheAir = new Set<Flight<T>>()

  return {
    find: (key) => running.get(key),

    launch(key, customerId, urgency, work) {
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      const flight: Flight<T> = { result: promise, urgency, customerId, evicted: false }
      // A background flight may fail with nobody waiting.
      promise.catch(() => {})
      running.set(key, flight)
      inTheAir.add(flight)
      const land = () => {
        inTheAir.delete(flight)
        if (running.get(key) === flight) running.delete(key)
      }
      work(flight).then(
        (value) => {
          land()
          resolve(value)
        },
        (error: unknown) => {
          land()
          reject(error)
        },
      )
      return flight
    },

    evict(customerId) {
      for (const [key, flight] of running)
        if (customerId === null || flight.customerId === customerId) running.delete(key)
      for (const flight of inTheAir)
        if (customerId === null || flight.customerId === customerId) flight.evicted = true
    },

    get count() {
      return inTheAir.size
    },
  }
}

/** Lets the holders of one name in one after the other. */
export function createTurns(): (name: string) => Promise<() => void> {
  const last = new Map<string, Promise<void>>()

  return async (name) => {
    const before = last.get(name)
    const { promise: mine, resolve: end } = Promise.withResolvers<void>()
    last.set(name, mine)
    await before
    return () => {
      if (last.get(name) === mine) last.delete(name)
      end()
    }
  }
}
