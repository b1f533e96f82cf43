import pino, { type DestinationStream, type Logger as Pino } from 'pino'
import { createIsoTime } from './iso-time.ts'
import { inOnePiece, rememberedLast } from './remembered.ts'

/** For what is told of every request. */
export type LineLog = {
  /**
   * Like `info`, in a third of the time.
   * @param members of the line's JSON object after its level and time, as text and without braces
   */
  line(members: string): void
}

export type Logger = Pino & LineLog

/**
 * An error for the log: what and where, and the same of its causes. Own words and stacks only: an error's
 * other properties may hold a request with its headers.
 */
function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { type: typeof error }
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && { code: error.code }),
    ...(depth === 0 && { stack: error.stack }),
    ...(error.cause !== undefined && depth < 5 && { cause: errorFields(error.cause, depth + 1) }),
  }
}

/** JSON lines; `destination` defaults to standard output. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // No `req` and `res`: their headers carry credentials.
    serializers: { err: errorFields, req: () => undefined, res: () => undefined },
  }
  const stream = destination ?? pino.destination()
  const logger = pino(options, stream)
  const isoTime = createIsoTime()
  const beginningAt = rememberedLast((epochMs) =>
    inOnePiece(`{"level":"info","time":"${isoTime.milliseconds(epochMs)}",`),
  )
  return Object.assign(logger, {
    line: (members: string) => {
      if (logger.isLevelEnabled('info')) stream.write(`${beginningAt(Date.now())}${members}}\n`)
    },
  })
}
