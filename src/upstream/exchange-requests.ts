import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretPost,
  clientCredentialsGrantRequest,
  customFetch,
} from 'oauth4webapi'
import type { Call } from './http-calls.ts'
import type { ClientCredential, ExchangeSettings } from './settings.ts'

type Exchange = {
  readonly url: string
  readonly credential: ClientCredential
  readonly organizationId: string | null
}

/** The exchange of credentials for an org token, as each source wants to be asked. */
export async function exchangeRequest(
  settings: ExchangeSettings,
  exchange: Exchange,
): Promise<Call> {
  const { url, credential, organizationId } = exchange
  const { clientId: client_id, clientSecret: client_secret } = credential
  switch (settings.source) {
    // Form encoding gets a 401 here. The hyphen is the name on the wire.
    case 'airbyte-cloud':
    case 'airbyte-self-managed':
      return json(url, { client_id, client_secret, 'grant-type': 'client_credentials' })
    case 'airbyte-agents':
      return json(url, { client_id, client_secret }, organizationHeader(organizationId))
    case 'beyond-identity':
      return rfc6749(
        url,
        credential,
        settings.scopes,
        basic(credential, (text) => text),
      )
    case 'oauth2':
      return rfc6749(
        url,
        credential,
        settings.scopes,
        settings.clientAuth === 'basic'
          ? basic(credential, formEncoded)
          : ClientSecretPost(credential.clientSecret),
      )
  }
}

export const organizationHeader = (organizationId: string | null): Record<string, string> =>
  organizationId === null ? {} : { 'x-organization-id': organizationId }

function json(url: string, body: object, headers: Record<string, string> = {}): Call {
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }
}

/** The library writes the request, and it goes out through our own calls: one pool, one deadline, one size limit. */
async function rfc6749(
  url: string,
  credential: ClientCredential,
  scopes: readonly string[],
  clientAuth: ClientAuth,
): Promise<Call> {
  const { promise, resolve } = Promise.withResolvers<Call>()
  await clientCredentialsGrantRequest(
    { issuer: new URL(url).origin, token_endpoint: url },
    { client_id: credential.clientId },
    clientAuth,
    scopes.length === 0 ? {} : { scope: scopes.join(' ') },
    {
      // Which hosts may do without TLS is decided once, with the rest of the configuration.
      [allowInsecureRequests]: true,
      [customFetch]: async (_url, options) => {
        const { 'user-agent': _ours, ...headers } = options.headers
        resolve({ method: 'POST', url, headers, body: options.body.toString() })
        return new Response()
      },
    },
  )
  return promise
}

/** RFC 6749, section 2.3.1 wants both form-encoded, which leaves `-`, `.` and `_` alone. */
const formEncoded = (text: string) => new URLSearchParams({ text }).toString().slice('text='.length)

/**
 * The library’s own encodes the hyphens too, which is a 401 at every server that does not decode: and
 * client ids are UUIDs.
 */
const basic =
  ({ clientId, clientSecret }: ClientCredential, encode: (text: string) => string): ClientAuth =>
  (_server, _client, _body, headers) => {
    const pair = Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64')
    headers.set('authorization', `Basic ${pair}`)
  }
