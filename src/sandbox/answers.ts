import type { AskedRequest } from './asked.ts'
import { createExchanges } from './exchanges.ts'
import type { Fault } from './faults.ts'
import type { Incoming } from './incoming.ts'
import { tokenInfo, withCors, workspaceReply } from './info.ts'
import type { Ledger } from './ledger.ts'
import { customerNamedBy } from './mint-request.ts'
import { createMints } from './mints.ts'
import type { Patience } from './patience.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import { kindOf, methodOf, type Route, servedBy } from './routes.ts'
import type { SandboxSettings } from './settings.ts'
import { replyInstead, spoilt } from './spoil.ts'
import type { Tokens } from './tokens.ts'
import { widgetPage } from './widget-page.ts'
import type { Workspaces } from './workspaces.ts'

/** From a request to its reply, with the fault that befalls it on the way. */
export function createAnswers(deps: {
  settings: () => SandboxSettings
  now: () => number
  ledger: Ledger
  tokens: Tokens
  workspaces: Workspaces
}) {
  const { settings, now, ledger, tokens, workspaces } = deps
  const exchanges = createExchanges({ settings, tokens, onIssued: ledger.exchanged })
  const mints = createMints({ settings, tokens, workspaces, onMinted: ledger.handedOut })

  async function rightReply(
    request: Incoming,
    route: Route | null,
    fault: Fault | undefined,
    patience: Patience,
  ): Promise<Reply | null> {
    const served = route !== null && servedBy(route, settings())
    const method = route ? methodOf(route) : request.method
    const life = fault?.what === 'life' ? { lifeMs: fault.ms } : {}

    if (served && route.kind === 'mint' && request.method === method) {
      const flaw = fault?.what === 'widget' ? { flaw: fault.flaw } : {}
      return mints.answer(request, route, { ...life, ...flaw }, patience)
    }
    if (!(await patience.turn())) return null
    if (!served) return errorReply('detail-text', 404, 'Not Found')
    if (route.kind === 'workspace' && request.method === 'OPTIONS') {
      return withCors({ status: 204, headers: {}, body: '' })
    }
    if (request.method !== method) {
      const headers = { allow: method }
      return errorReply('detail-text', 405, 'Method Not Allowed', { headers })
    }
    return settledReply(request, route, life)
  }

  async function settledReply(request: Incoming, route: Route, life: { lifeMs?: number }) {
    switch (route.kind) {
      case 'exchange':
        return exchanges.answer(request, route, life)
      case 'info':
        return tokenInfo(request, route, settings(), tokens)
      case 'workspace':
        return workspaceReply(request, route.id, tokens)
      case 'page':
        return widgetPage()
      case 'health':
        return jsonReply(200, { status: 'ok' })
      case 'mint':
        return null
    }
  }

  return {
    takeDown(request: Incoming, route: Route | null): AskedRequest {
      const kind = kindOf(route)
      const orgToken = kind === 'mint' ? tokens.orgTokenOf(request.bearer) : null
      const client = kind === 'exchange' ? exchanges.clientNamedBy(request) : null
      const { method, path, query, headers, body, json } = request
      return {
        ...{ method, path, query, headers, body, json, kind },
        at: now(),
        tokenType: route?.kind === 'mint' ? route.type : null,
        customer: kind === 'mint' ? customerNamedBy(json) : null,
        credential: client ?? orgToken?.credential ?? null,
        orgToken: orgToken?.id ?? null,
        status: null,
        fault: null,
      }
    },

    /** `null`: whoever asked has gone away. `reset`: no reply, the connection is to break. */
    async answer(
      request: Incoming,
      route: Route | null,
      fault: Fault | undefined,
      patience: Patience,
    ): Promise<Reply | 'reset' | null> {
      if (fault?.what === 'revoke' && request.bearer !== null) tokens.revoke(request.bearer)
      const resets =
        fault?.what === 'reset' && (fault.when ?? 'before-headers') === 'before-headers'
      const instead = resets ? 'reset' : replyInstead(fault)
      const reply = instead
        ? (await patience.turn()) && instead
        : await rightReply(request, route, fault, patience)
      if (!reply || reply === 'reset') return reply || null

      const date = new Date(now()).toUTCString()
      return spoilt({ ...reply, headers: { date, ...reply.headers } }, fault, now())
    },

    async issueOrgToken(lifeMs = settings().orgTokenLifeMs): Promise<string> {
      const { token } = await tokens.orgToken({
        credential: 'issued-by-hand',
        organization: null,
        mayMint: true,
        lifeMs,
      })
      ledger.accepts(token)
      return token
    },
  }
}

export type Answers = ReturnType<typeof createAnswers>
