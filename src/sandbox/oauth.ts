import type { Incoming } from './incoming.ts'
import { jsonReply, type Reply } from './reply.ts'
import type { SandboxSettings } from './settings.ts'

/** RFC 6749, section 5.2. */
export const oauthRefusal = (status: 400 | 401, error: string, description: string): Reply =>
  jsonReply(
    status,
    { error, error_description: description },
    status === 401 ? { 'www-authenticate': 'Basic realm="sandbox"' } : {},
  )

/** How a client shows who it is: RFC 6749, section 2.3.1; one way at a time. */
export function clientAuth(
  request: Incoming,
  form: URLSearchParams,
  allowed: SandboxSettings['oauth2ClientAuth'],
): { id: string; secret: string } | { refusal: Reply } {
  const basic = basicOf(request.headers.authorization)
  const id = form.get('client_id')
  const secret = form.get('client_secret')

  if (basic && secret !== null) {
    return { refusal: oauthRefusal(400, 'invalid_request', 'two ways of authentication at once') }
  }
  if (basic && allowed !== 'post') return basic
  if (!basic && id !== null && secret !== null && allowed !== 'basic') return { id, secret }
  return { refusal: oauthRefusal(401, 'invalid_client', 'client authentication is needed') }
}

export function refuseGrant(form: URLSearchParams, scopes: readonly string[] | null): Reply | null {
  const grant = form.getAll('grant_type')
  if (grant.length !== 1) {
    return oauthRefusal(400, 'invalid_request', 'grant_type has to be there, once')
  }
  if (grant[0] !== 'client_credentials') {
    return oauthRefusal(400, 'unsupported_grant_type', 'only client_credentials')
  }
  const wanted = form.get('scope')?.split(' ').filter(Boolean) ?? []
  if (scopes && wanted.some((scope) => !scopes.includes(scope))) {
    return oauthRefusal(400, 'invalid_scope', 'a scope is unknown')
  }
  return null
}

/** Both halves are form-encoded before they are joined, so a `%`, a `+` or a `:` in a secret survives. */
function basicOf(header: string | undefined): { id: string; secret: string } | null {
  const encoded = /^Basic +(\S+)$/i.exec(header ?? '')?.[1]
  if (!encoded) return null
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return null
  try {
    return { id: formDecoded(text.slice(0, colon)), secret: formDecoded(text.slice(colon + 1)) }
  } catch {
    return null
  }
}

const formDecoded = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
