import { BrokerError } from '../errors.ts'
import { refreshAfter, type TokenRequest } from '../tokens/token.ts'
import { createUpstream } from './create-upstream.ts'
import { fine, problem, type Verdict } from './doctor-kit.ts'
import type { UpstreamSettings } from './settings.ts'

const iso = (ms: number) => new Date(ms).toISOString()

/** Mints as the broker would, and tells what it would serve: all but the token itself. */
export async function checkMint(
  settings: UpstreamSettings,
  request: TokenRequest,
): Promise<Verdict> {
  const check = `mint ${request.type}`
  const complaints: { status?: unknown; upstreamSays?: unknown }[] = []
  const log = { debug() {}, info() {}, warn: note, error: note }
  function note(fields: object) {
    complaints.push(fields)
  }
  const upstream = createUpstream(settings, { log })
  try {
    const token = await upstream.mint(request, 'caller')
    const served = {
      token: `(${token.value.length} characters)`,
      type: token.type,
      customer_id: request.customerId,
      workspace_id: token.workspaceId,
      expires_at: iso(token.expiresAt),
      expires_in: Math.floor((token.expiresAt - Date.now()) / 1000),
      refresh_after: iso(refreshAfter(token)),
    }
    return fine(check, JSON.stringify(served))
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    const last = complaints.findLast(({ status }) => status !== undefined)
    return refusalOf(check, error, settings, last ?? {})
  } finally {
    await upstream.close()
  }
}

function refusalOf(
  check: string,
  error: BrokerError,
  { organizationId }: UpstreamSettings,
  last: { status?: unknown; upstreamSays?: unknown },
): Verdict {
  const words = typeof last.upstreamSays === 'string' ? ` (${last.upstreamSays})` : ''
  if (error.code === 'origin_required') {
    return problem(check, 'a widget token needs the origin of its page', 'WIDGET_ALLOWED_ORIGINS')
  }
  if (last.status === 400) {
    return organizationId === null
      ? problem(
          check,
          `refused${words}: the credential reaches several organisations, or the region is wrong`,
          'AIRBYTE_ORGANIZATION_ID or AIRBYTE_REGION_ID',
        )
      : problem(
          check,
          `refused${words}: the organisation is not one of the credential, or the region is wrong`,
          'AIRBYTE_ORGANIZATION_ID or AIRBYTE_REGION_ID',
        )
  }
  const { cause } = error
  const reason = cause instanceof Error ? `: ${cause.message}` : ''
  return problem(check, `${error.code}${reason}${words}`, 'see the lines above')
}
