import { closeSync, openSync } from 'node:fs'
import { pino } from 'pino'
import type { Log } from '../log.ts'

/** Where lines go that others write to as well. */
export type AuditOutput = { write(line: string): void }

export type AuditFile = {
  write(line: string): void
  /** Opens the file by its name again, after a rotation has moved it away. */
  reopen(): void
  /** Writes what is held back before it returns: for a process that is about to end. */
  flush(): void
  /** Writes what is still held back. */
  close(): Promise<void>
}

/** What waits for a slow disk or pipe at most; past it lines are lost, and that is told. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024
const TOLD_EVERY_MS = 60_000
const CLOSE_WITHIN_MS = 2000
/** The owner writes, its group may read: the lines name customers. */
const FILE_MODE = 0o640

/** `stdout`, or a file that is appended to. @throws Error, when the file cannot be written */
export function openAuditFile(
  destination: string,
  deps: { readonly log: Log; readonly now: () => number; readonly stdout?: AuditOutput },
): AuditFile {
  const { log, now, stdout } = deps
  const isFile = destination !== 'stdout'
  if (!isFile && stdout)
    return {
      write: (line) => stdout.write(line),
      reopen: () => {},
      // Whoever has the output flushes it.
      flush: () => {},
      close: async () => {},
    }

  // Opened here once, so that a folder that is not there stops the start and not the first request.
  if (isFile) closeSync(openSync(destination, 'a', FILE_MODE))
  const stream = pino.destination({
    dest: isFile ? destination : 1,
    sync: false,
    mode: FILE_MODE,
    maxLength: MOST_WAITING_BYTES,
  })

  let lost = 0
  let toldAt = Number.NEGATIVE_INFINITY
  function tell(cause: unknown): void {
    if (now() - toldAt < TOLD_EVERY_MS && now() >= toldAt) return
    toldAt = now()
    log.error({ err: cause, lost }, 'the audit log cannot be written')
  }
  stream.on('error', tell)
  stream.on('drop', (lines: string) => {
    lost += lines.split('\n').length - 1
    tell(undefined)
  })

  // The stream weighs all that waits with every write, so the lines of one turn of the event loop go together.
  let lines: string[] = []
  let closed = false
  function pass(): void {
    if (closed || lines.length === 0) return
    const text = lines.join('')
    lines = []
    stream.write(text)
  }

  return {
    write(line) {
      lines.push(line)
      if (lines.length === 1) setImmediate(pass)
    },
    reopen() {
      pass()
      if (isFile && !closed) stream.reopen()
    },
    flush() {
      pass()
      try {
        if (!closed) stream.flushSync()
      } catch (error) {
        tell(error)
      }
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>()
      stream.once('close', resolve)
      stream.once('error', () => resolve())
      // A pipe that nobody reads must not hold up the end.
      const timer = setTimeout(resolve, CLOSE_WITHIN_MS)
      pass()
      closed = true
      stream.end()
      await promise
      clearTimeout(timer)
    },
  }
}
