import { createHmac } from 'node:crypto'

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The product's backend, as far as this example needs one: says who is signed in, as a JWT. */
export function session({ JWT_SECRET, JWT_AUDIENCE }) {
  if (!JWT_SECRET || !JWT_AUDIENCE)
    throw new Error('Set BROKER_URL, JWT_SECRET and JWT_AUDIENCE: the demo prints them.')

  const jwt = () => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { sub: 'user-1', aud: JWT_AUDIENCE, customer_id: 'acme-rockets', exp: now + 300 }
    const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`
    return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`
  }

  return {
    name: 'session',
    configureServer(server) {
      server.middlewares.use('/session.json', (_request, response) => {
        response.setHeader('content-type', 'application/json')
        response.setHeader('cache-control', 'no-store')
        response.end(JSON.stringify({ jwt: jwt() }))
      })
    },
  }
}
