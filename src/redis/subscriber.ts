import type { Redis } from 'ioredis'
import { reconnectPauseMs } from './client.ts'

export type Listener = (message: string | null) => void

export type Subscriber = {
  add(channel: string, listener: Listener): void
  /** Drops the connection, for one by new settings. */
  restart(): void
  close(): void
}

/** An answer is owed after each, so a connection that has silently died is found out. */
const HEARTBEAT_MS = 1_000

/** Hears every message on its channels, or says that it may have missed some. */
export function createSubscriber(
  connect: () => Redis,
  onRefusal: (error: unknown) => void,
): Subscriber {
  const listeners = new Map<string, Listener[]>()
  let connection: Redis | undefined
  let timer: NodeJS.Timeout | undefined
  let attempts = 0
  let closed = false

  const listenersOf = (channel: string) => listeners.get(channel) ?? []

  function open(): void {
    const mine = connect()
    connection = mine
    mine.on('error', () => {}) // The end that follows says all there is to say.
    mine.on('message', (channel, message) => {
      for (const listener of listenersOf(channel)) listener(message)
    })
    mine.once('end', () => {
      if (connection === mine) again()
    })
    mine.once('ready', () => void subscribe(mine, [...listeners.keys()]))
    mine.connect().catch(() => {})
  }

  function again(): void {
    clearTimeout(timer)
    connection = undefined
    if (closed) return
    timer = setTimeout(open, reconnectPauseMs(attempts++)).unref()
  }

  async function subscribe(mine: Redis, channels: readonly string[]): Promise<void> {
    try {
      await mine.subscribe(...channels)
    } catch (error) {
      onRefusal(error)
      mine.disconnect()
      return
    }
    if (connection !== mine) return
    attempts = 0
    for (const channel of channels) for (const listener of listenersOf(channel)) listener(null)
    clearTimeout(timer)
    timer = setTimeout(() => beat(mine), HEARTBEAT_MS).unref()
  }

  function beat(mine: Redis): void {
    if (connection !== mine) return
    mine.ping().then(
      () => {
        if (connection === mine) timer = setTimeout(() => beat(mine), HEARTBEAT_MS).unref()
      },
      () => mine.disconnect(),
    )
  }

  return {
    add(channel, listener) {
      listeners.set(channel, [...listenersOf(channel), listener])
      if (connection === undefined && timer === undefined) open()
      else if (connection?.status === 'ready') void subscribe(connection, [channel])
    },
    restart() {
      const old = connection
      if (old === undefined) return
      again()
      old.disconnect()
    },
    close() {
      closed = true
      clearTimeout(timer)
      connection?.disconnect()
      connection = undefined
    },
  }
}
