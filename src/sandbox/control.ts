import { z } from 'zod'
import { Fault } from './faults.ts'
import type { Incoming } from './incoming.ts'
import { withCors } from './info.ts'
import type { Counts } from './ledger.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import { ChangeableSettings, type SandboxChange, type SandboxSettings } from './settings.ts'

const PREFIX = '/__sandbox/'

const Change = ChangeableSettings.partial()

/**
 * What a page or another process can do to a running sandbox. It tells no secret, but it can set them:
 * it is for machines on which nobody minds.
 */
export function createControl(of: {
  settings: () => SandboxSettings
  configure: (change: SandboxChange) => void
  fail: (fault: Fault) => void
  clear: () => void
  state: () => { counts: Counts; faults: readonly string[]; broken: readonly string[] }
}) {
  const done = () => ({ status: 204, headers: {}, body: '' })

  function answer(request: Incoming): Reply {
    switch (`${request.method} ${request.path.slice(PREFIX.length)}`) {
      case 'POST configure':
        return parsed(Change, request.json, of.configure)
      case 'POST fail':
        return parsed(Fault, request.json, of.fail)
      case 'POST clear':
        of.clear()
        return done()
      case 'GET state': {
        const { clients, orgTokens, signingSecret, now, ...settings } = of.settings()
        return jsonReply(200, { ...of.state(), settings })
      }
      default:
        return errorReply('detail-text', 404, 'Not Found')
    }
  }

  function parsed<T>(schema: z.ZodType<T>, json: unknown, use: (value: T) => void): Reply {
    const result = schema.safeParse(json)
    if (!result.success) return errorReply('detail-text', 422, z.prettifyError(result.error))
    use(result.data)
    return done()
  }

  return {
    isFor: (request: Incoming) => of.settings().control && request.path.startsWith(PREFIX),
    answer: (request: Incoming) =>
      withCors(request.method === 'OPTIONS' ? done() : answer(request)),
  }
}

export type Control = ReturnType<typeof createControl>
