import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answers } from './answers.ts'
import type { Control } from './control.ts'
import { deliver } from './deliver.ts'
import type { Faults } from './faults.ts'
import { readIncoming } from './incoming.ts'
import type { Ledger } from './ledger.ts'
import { type Holds, pause } from './patience.ts'
import { routeOf } from './routes.ts'
import type { SandboxSettings } from './settings.ts'

/** The path of a request: taken down, matched with a fault, held, delayed, answered, sent. */
export function createServe(parts: {
  settings: () => SandboxSettings
  ledger: Ledger
  answers: Answers
  faults: Faults
  holds: Holds
  control: Control
}) {
  const { ledger, answers, faults, holds, control } = parts

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const absence = new AbortController()
    response.once('close', () => absence.abort())
    const gone = absence.signal

    const request = await readIncoming(incoming)
    if (control.isFor(request)) return deliver(response, control.answer(request), undefined, gone)

    const route = routeOf(request.path)
    const asked = answers.takeDown(request, route)
    response.once('close', ledger.arrived(asked))
    const fault = faults.take(asked)
    asked.fault = fault?.what ?? null
    if (fault?.what === 'hang') return

    const delayMs = asked.kind === 'other' ? 0 : (parts.settings().delays[asked.kind] ?? 0)
    const patience = {
      turn: async () =>
        (await holds.pass(asked, gone)) &&
        (delayMs === 0 || (await pause(delayMs, gone))) &&
        (fault?.what !== 'delay' || (await pause(fault.ms, gone))),
      pause: (ms: number) => pause(ms, gone),
    }
    const outcome = await answers.answer(request, route, fault, patience)
    if (outcome === 'reset') response.socket?.resetAndDestroy()
    if (outcome === 'reset' || outcome === null) return
    asked.status = outcome.status
    await deliver(response, outcome, fault, gone)
  }

  return (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch((error: unknown) => {
      // A flaw of the sandbox itself: it must not look like a flaw of whoever asked.
      if (response.headersSent || response.destroyed) return response.destroy()
      return response.writeHead(500, { 'x-sandbox-error': 'yes' }).end(String(error))
    })
  }
}
