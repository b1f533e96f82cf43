import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const { BROKER_URL, JWT_SECRET, JWT_AUDIENCE } = process.env
if (!BROKER_URL || !JWT_SECRET || !JWT_AUDIENCE) {
  console.error('Set BROKER_URL, JWT_SECRET and JWT_AUDIENCE: the demo prints them.')
  process.exit(1)
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** What the broker takes as proof: HS256, the audience it expects, and the customers of this user. */
function jwtFor(user) {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    sub: user.id,
    aud: JWT_AUDIENCE,
    customer_id: user.customerId,
    iat: now,
    exp: now + 300,
  }
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(claims)}`
  return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`
}

createServer(async (request, response) => {
  // In a real product this comes out of the session, and never out of the request.
  const user = { id: 'user-1', customerId: 'acme-rockets' }
  const json = (value) => {
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify(value))
  }

  if (request.url === '/session.json') return json({ jwt: jwtFor(user) })
  if (request.url === '/config.json')
    return json({ brokerUrl: BROKER_URL, customerId: user.customerId })
  if (request.url !== '/') return response.writeHead(404).end()
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  return response.end(await readFile(new URL('index.html', import.meta.url)))
}).listen(4001, 'localhost', () => console.log('http://localhost:4001'))
