import { createServer } from 'node:http'

/** Mints whatever it is asked for after `DELAY_MS`, in the shape of today's API; cheap, so that it is not what is measured. */
const delayMs = Number(process.env.DELAY_MS ?? 0)
const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url')
const header = part({ alg: 'HS256', typ: 'JWT' })
const LIFE_SECONDS = 86_400
let minted = 0

createServer((request, response) => {
  request.resume().on('end', () => {
    const token = [
      header,
      part({
        sub: '550e8400-e29b-41d4-a716-446655440000',
        jti: String(minted++).padStart(36, '0'),
        exp: Math.floor(Date.now() / 1000) + LIFE_SECONDS,
        'io.airbyte.auth.workspace_scope': { workspaceId: '550e8400-e29b-41d4-a716-446655440000' },
      }),
      's'.repeat(43),
    ].join('.')
    const reply = () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ token }))
    }
    if (delayMs === 0) reply()
    else setTimeout(reply, delayMs)
  })
}).listen(Number(process.env.PORT), '127.0.0.1')
