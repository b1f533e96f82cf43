import { pino } from 'pino'

/** Where lines of text go. */
export type Output = {
  write(line: string): void
  /** Writes what is held back before it returns: for a process that is about to end. */
  flush(): void
}

/** What waits for a slow reader at most; past it lines are lost. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024
/** Short, as a process that is killed loses what is held back. */
const HOLD_MS = 10
/** As much as one write carries well. */
const MOST_HELD = 64 * 1024

/**
 * Standard output, for the log and for the audit: many lines go out as one write, made beside the event
 * loop. All that is written there goes through one of these, so that no line ends up
 * within another.
 */
export function createOutput(descriptor = 1): Output {
  const stream = pino.destination({
    dest: descriptor,
    sync: false,
    maxLength: MOST_WAITING_BYTES,
  })
  // A reader that has gone away must not end the service.
  stream.on('error', () => {})

  let held = ''
  function pass(): void {
    if (held === '') return
    const text = held
    held = ''
    stream.write(text)
  }

  return {
    write(line) {
      if (held === '') setTimeout(pass, HOLD_MS).unref()
      held += line
      if (held.length >= MOST_HELD) pass()
    },
    flush() {
      pass()
      stream.flushSync()
    },
  }
}

/** For people at a terminal: the same lines, to be read. */
export async function createPrettyOutput(): Promise<Output> {
  // Loaded only where there is somebody to read it.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({ sync: true, singleLine: true, translateTime: 'SYS:HH:MM:ss.l' })
  return {
    write: (line) => {
      stream.write(line)
    },
    flush: () => {},
  }
}
