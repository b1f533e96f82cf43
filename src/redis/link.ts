import type { Cluster, Redis } from 'ioredis'

/** A Redis in whatever shape it is run. Slot rules of a cluster hold for every script that goes through it. */
export type RedisClient = Redis | Cluster

/** The one door to Redis: nobody waits long at it, and nobody has to ask first whether it is open. */
export type RedisLink = {
  /**
   * Runs one piece of work on the connection.
   * Rejects at once while Redis is known to be away, and after about 100 ms when it does not answer;
   * callers go on without it.
   */
  run<T>(work: (redis: RedisClient) => Promise<T>): Promise<T>
  readonly up: boolean
  /** `name` behind the configured prefix. */
  key(name: string): string
  /** Called with every message on the channel, and once with `null` after each time messages may have been missed. */
  subscribe(channel: string, listener: (message: string | null) => void): void
  close(): Promise<void>
}
