import { signedInCustomer } from '../../../../../lib/session.ts'

const TIMEOUT_MS = 15_000
const PASSED_ON = ['content-type', 'retry-after', 'cache-control']

type Asked = { type?: unknown; allowed_origin?: unknown; min_ttl?: unknown; refresh?: unknown }

const refusal = (status: number, code: string) => Response.json({ code }, { status })

async function pass(request: Request, id: string, asked: Asked): Promise<Response> {
  const customerId = await signedInCustomer()
  if (!customerId) return refusal(401, 'unauthenticated')
  if (id !== customerId) return refusal(403, 'forbidden')
  // Another site can make a browser send the cookie, but not this header.
  if (!request.headers.has('x-requested-with')) return refusal(403, 'csrf')

  const { BROKER_URL, BROKER_KEY } = process.env
  try {
    const answer = await fetch(`${BROKER_URL}/customers/${encodeURIComponent(customerId)}/token`, {
      method: 'POST',
      headers: { authorization: `Bearer ${BROKER_KEY}`, 'content-type': 'application/json' },
      // What a service may ask for is more than what a user may: only these few are let through.
      body: JSON.stringify({
        type: asked.type,
        allowed_origin: asked.allowed_origin,
        min_ttl: asked.min_ttl === undefined ? undefined : Number(asked.min_ttl),
        refresh: asked.refresh === true || undefined,
      }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const headers = new Headers()
    for (const name of PASSED_ON) {
      const value = answer.headers.get(name)
      if (value !== null) headers.set(name, value)
    }
    return new Response(answer.body, { status: answer.status, headers })
  } catch {
    return refusal(503, 'upstream_unavailable')
  }
}

type Context = { params: Promise<{ id: string }> }

export async function GET(request: Request, { params }: Context): Promise<Response> {
  const { searchParams } = new URL(request.url)
  return pass(request, (await params).id, Object.fromEntries(searchParams))
}

export async function POST(request: Request, { params }: Context): Promise<Response> {
  const body: unknown = await request.json().catch(() => ({}))
  return pass(request, (await params).id, typeof body === 'object' && body !== null ? body : {})
}
