import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Log } from '../log.ts'
import type { RedisLink } from '../redis/link.ts'
import type { Sealer } from './seal.ts'

/** Issuing that an operator has stopped. `customerId: null` is everybody; so is one that cannot be read any more, but `name` is not. */
export type Stop = {
  readonly customerId: string | null
  readonly all: boolean
  readonly since: number
}

export type Stops = {
  /** Whether nothing may be issued for this customer. Own memory: no I/O, and what was last heard while Redis is away. */
  include(customerId: string): boolean
  list(): Stop[]
  /** `null`: everybody. Rejects when it does not reach the other replicas; it holds here all the same. */
  add(customerId: string | null): Promise<void>
  /** Rejects when it does not reach the other replicas, and then it is not lifted here either. */
  lift(customerId: string | null): Promise<void>
  /** Reads what is stopped, before the first request is answered. */
  load(): Promise<void>
  close(): void
}

export type StopsDeps = {
  readonly link: RedisLink | null
  readonly sealer: () => Sealer
  readonly now: () => number
  readonly log: Log
}

const EVERYBODY = '*'
const POLL_MS = 1000
const SEALED_PLACE = 'v1 stopped'
const Entry = z.object({ since: z.number(), customer: z.string().nullable() })

/**
 * A digest without a key: a stop has to outlive the change of every secret, which is often the next
 * thing done after one. The id itself stands beside it, sealed, for people to read.
 */
const nameOf = (customerId: string | null) =>
  customerId === null
    ? EVERYBODY
    : createHash('sha256').update(`token-broker stop ${customerId}`).digest('base64url')

/** The kill switch: for a customer or for all, on every replica, until it is lifted. */
export function createStops({ link, sealer, now, log }: StopsDeps): Stops {
  let stops = new Map<string, Stop>()
  const key = link?.key('v1:stops') ?? ''
  const channel = link?.key('v1:stops:news') ?? ''

  const text = (stop: Stop) =>
    JSON.stringify({
      since: stop.since,
      customer: stop.customerId === null ? null : sealer().seal(SEALED_PLACE, stop.customerId),
    })

  function read(name: string, value: string): Stop {
    const entry = Entry.safeParse(parsed(value)).data
    const customer = entry?.customer ?? null
    return {
      customerId: customer === null ? null : sealer().open(SEALED_PLACE, customer),
      all: name === EVERYBODY,
      since: entry?.since ?? 0,
    }
  }

  async function load(): Promise<void> {
    if (link === null) return
    const entries = await link.run((redis) => redis.hgetall(key))
    stops = new Map(Object.entries(entries).map(([name, value]) => [name, read(name, value)]))
  }
  // What was last heard stays in force while Redis is away.
  const catchUp = () => void load().catch(() => undefined)
  const timer = link && setInterval(catchUp, POLL_MS).unref()
  link?.subscribe(channel, catchUp)
  const tell = () =>
    void link?.run((redis) => redis.publish(channel, 'changed')).catch(() => undefined)

  return {
    include: (customerId) =>
      stops.size > 0 && (stops.has(EVERYBODY) || stops.has(nameOf(customerId))),
    list: () => [...stops.values()],
    load,

    async add(customerId) {
      const stop = { customerId, all: customerId === null, since: now() }
      stops.set(nameOf(customerId), stop)
      log.warn({ customer: customerId ?? 'all' }, 'issuing is stopped')
      if (link === null) return
      await link.run((redis) => redis.hset(key, nameOf(customerId), text(stop)))
      tell()
    },

    async lift(customerId) {
      await link?.run((redis) => redis.hdel(key, nameOf(customerId)))
      stops.delete(nameOf(customerId))
      log.warn({ customer: customerId ?? 'all' }, 'issuing goes on')
      tell()
    },

    close: () => clearInterval(timer ?? undefined),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
