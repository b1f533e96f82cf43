import type { Caller } from '../callers/caller.ts'
import { type PermitPart, refusalReason } from '../callers/permit.ts'
import { BrokerError } from '../errors.ts'
import { createIsoTime } from '../iso-time.ts'
import type { Holder } from '../tokens/holders.ts'
import { tokenRequest } from '../tokens/request.ts'
import { refreshAfter, type Token, type TokenRequest, type TokenType } from '../tokens/token.ts'
import type { Supposed } from './admin.ts'
import type { Counters } from './counters.ts'
import type { Limit } from './limits.ts'

export type ExplainSettings = {
  readonly customerIdPattern: RegExp
  readonly defaultType: TokenType
  readonly perCustomer: Limit
}

export type ExplainDeps = {
  readonly permit: PermitPart['permit']
  readonly customers: Counters
  /** What this replica has at hand, without asking anybody. */
  readonly held: (request: TokenRequest) => Token | undefined
  readonly fingerprint: (token: string) => Holder['fingerprint']
}

/**
 * What would be decided for a caller and a customer, and why, step by step as a request goes. Spends
 * nothing of the limit, mints nothing, and shows no token.
 */
export function createExplain(settings: ExplainSettings, deps: ExplainDeps) {
  const { permit, customers, held, fingerprint } = deps
  const isoTime = createIsoTime()

  return async (supposed: Supposed): Promise<Record<string, unknown>> => {
    const { customerId, allowedOrigin } = supposed
    const type = supposed.type ?? settings.defaultType
    if (!settings.customerIdPattern.test(customerId))
      return { outcome: 'refused', code: 'invalid_customer_id' }

    const asked = { customerId, type, allowedOrigin }
    let request: TokenRequest
    let limit: Limit
    try {
      const permission = await permit(callerOf(supposed), { route: 'issue', asked })
      request = tokenRequest(permission.settings, asked, permission.tagsAreRequired)
      limit = permission.limit ?? settings.perCustomer
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return {
        outcome: 'refused',
        code: error.code,
        reason: refusalReason(error) ?? error.code,
        detail: error.message,
      }
    }

    const { count, resetMs } = await customers.read(customerId, limit)
    const token = held(request)
    return {
      outcome: count >= limit.max ? 'limited' : 'issued',
      from: token ? 'this replica' : "another replica's token, or a mint",
      upstream_request: {
        workspace_name: request.workspaceName,
        type,
        allowed_origin: request.allowedOrigin,
        source_template_tags: request.sourceTags,
        connection_template_tags: request.connectionTags,
        region_id: request.regionId,
      },
      limit: {
        max: limit.max,
        window_seconds: limit.windowMs / 1000,
        used: count,
        resets_in_seconds: Math.ceil(resetMs / 1000),
      },
      held: token && {
        token_fingerprint: fingerprint(token.value),
        workspace_id: token.workspaceId,
        expires_at: isoTime.seconds(token.expiresAt),
        refresh_after: isoTime.seconds(refreshAfter(token)),
      },
    }
  }
}

const callerOf = ({ caller }: Supposed): Caller =>
  'service' in caller
    ? { kind: 'service', name: caller.service }
    : {
        kind: 'user',
        subjectDigest: 'supposed by an operator',
        customerIds: new Set(caller.customer_ids),
      }
