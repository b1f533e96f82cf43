import type { Server } from 'node:http'
import { SignJWT } from 'jose'
import { z } from 'zod'
import { createOrigin, jsonReply, readJson, serveFiles } from './http-server.ts'

export const CUSTOMERS = [
  { id: 'acme-rockets', name: 'Acme Rockets' },
  { id: 'blue-bakery', name: 'Blue Bakery' },
  { id: 'cobalt-clinic', name: 'Cobalt Clinic' },
] as const

export const AUDIENCE = 'token-broker-demo'
const JWT_LIFE = '5m'

const FILES = [
  'index.html',
  'style.css',
  'main.js',
  'actions.js',
  'api.js',
  'exchange-log.js',
  'sources.js',
  'token-view.js',
  'widget.js',
  'icon.svg',
]

const SignIn = z.strictObject({ customer: z.enum(CUSTOMERS.map(({ id }) => id)) })
const Upstream = z.strictObject({ down: z.boolean() })

export type SaasParts = {
  readonly jwtSecret: string
  /** The other origins, which are known once everything listens. */
  readonly places: () => { origin: string; brokerUrl: string; airbyteUrl: string }
  readonly setUpstreamDown: (down: boolean) => void
  readonly refuseNextCall: () => void
}

/** The SaaS product of the story: a page, and a backend that says who is signed in. */
export function createSaas(parts: SaasParts): Server {
  const files = serveFiles(new URL('page/', import.meta.url), FILES)
  const key = new TextEncoder().encode(parts.jwtSecret)

  const security = () => {
    const { brokerUrl, airbyteUrl } = parts.places()
    return {
      'content-security-policy': [
        "default-src 'none'",
        `script-src 'self' ${brokerUrl}`,
        "style-src 'self'",
        "img-src 'self'",
        `connect-src 'self' ${brokerUrl} ${airbyteUrl}`,
        `frame-src ${airbyteUrl}`,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
      ].join('; '),
    }
  }

  return createOrigin(security, async (request, path) => {
    const { origin, brokerUrl, airbyteUrl } = parts.places()
    // Other names for this address would be a way around the same-origin rule.
    if (`http://${request.headers.host}` !== origin) return { status: 421 }
    if (request.method === 'GET' && path === '/config.json')
      return jsonReply(200, { brokerUrl, airbyteUrl, customers: CUSTOMERS })
    if (request.method !== 'POST') return files(request, path)
    if (request.headers.origin !== origin) return { status: 403 }

    switch (path) {
      // In a real product the user signed in long before; here the page says who is to be signed in.
      case '/api/session': {
        const { customer } = SignIn.parse(await readJson(request))
        const jwt = await new SignJWT({ customer_id: customer })
          .setProtectedHeader({ alg: 'HS256' })
          .setSubject(`user-of-${customer}`)
          .setAudience(AUDIENCE)
          .setIssuedAt()
          .setExpirationTime(JWT_LIFE)
          .sign(key)
        return jsonReply(200, { jwt })
      }
      case '/demo/upstream':
        parts.setUpstreamDown(Upstream.parse(await readJson(request)).down)
        return { status: 204 }
      case '/demo/refuse-next-call':
        parts.refuseNextCall()
        return { status: 204 }
      default:
        return undefined
    }
  })
}
