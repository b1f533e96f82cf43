import type { Log } from '../log.ts'
import { failureName, isReply } from './replies.ts'

export type AnnouncementDeps = {
  readonly log: Log
  readonly onUp?: (up: boolean) => void
}

/** What operators are told of Redis: a line for each change, however many calls meet it. */
export type Announcements = {
  up(): void
  away(state: string, reason: unknown): void
  /** A command was refused, as nobody expects of a Redis that is set up well. */
  refused(error: unknown): void
  close(): void
}

/** So long it has to serve before it is said to be back: one line per outage, not one per flicker. */
const STEADY_AFTER_MS = 1_000

export function createAnnouncements({ log, onUp }: AnnouncementDeps): Announcements {
  let said: boolean | undefined
  let timer: NodeJS.Timeout | undefined
  const complaints = new Set<string>()

  function isNews(up: boolean): boolean {
    if (said === up) return false
    said = up
    onUp?.(up)
    return true
  }

  function sayUp(): void {
    if (isNews(true)) log.info({}, 'Redis is there')
  }

  return {
    up() {
      clearTimeout(timer)
      if (said === undefined) sayUp()
      else timer = setTimeout(sayUp, STEADY_AFTER_MS).unref()
    },
    away(state, reason) {
      clearTimeout(timer)
      if (isNews(false))
        log.warn({ state, reason: failureName(reason) }, 'Redis is away, going on without it')
    },
    refused(error) {
      // Rights that the user lacks, or a node of a cluster that was taken for a whole Redis: every
      // call meets it again.
      const reason = failureName(error)
      if (!isReply(error) || complaints.has(reason)) return
      complaints.add(reason)
      log.warn({ reason }, 'Redis refuses a command that is needed')
    },
    close: () => clearTimeout(timer),
  }
}
