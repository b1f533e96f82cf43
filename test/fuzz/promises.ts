import { z } from 'zod'
import { FAILURES } from '../../src/errors.ts'
import { JWT_SECRET, SERVICE_KEY } from '../support/service.ts'
import type { FuzzedRequest } from './requests.ts'
import { type Fuzzed, RIGHTS } from './service.ts'
import type { WireReply } from './wire.ts'

const Problem = z.strictObject({
  type: z.string().regex(/^(urn:token-broker:problem:\w+|https:\/\/iana\.org\/.*)$/),
  title: z.string(),
  status: z.int(),
  detail: z.string().max(1000),
  code: z.enum(Object.keys(FAILURES)),
  request_id: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,64}$/)
    .optional(),
  'violated-policies': z.array(z.string()).optional(),
})

const Token = z.object({ token: z.string(), customer_id: z.string() })

const DOCUMENTS = /^(text\/(html|javascript|css|plain)|application\/(json|yaml)|image\/)/
const ID_PATTERN = /^[A-Za-z0-9._~:@-]{1,128}$/

/** What a reply breaks of what callers are promised, whatever they sent; `null`: nothing. */
export function brokenPromise(service: Fuzzed, reply: WireReply): string | null {
  const { status, headers, body, text } = reply
  if (!(status >= 200 && status < 500)) return `status ${status}`
  for (const secret of [SERVICE_KEY, JWT_SECRET, service.upstream.clientSecret])
    if (text.includes(secret)) return 'a secret'
  if (/\bat .*\.(ts|js|mjs):\d+|node_modules|node:internal/.test(body) && status >= 400)
    return 'a stack'
  if (body === '') return null
  const type = headers.get('content-type') ?? ''
  if (status < 400) return DOCUMENTS.test(type) ? null : `a ${status} of type ${type}`
  if (!type.startsWith('application/problem+json')) return `a failure of type ${type}`
  const problem = Problem.safeParse(parsed(body))
  if (!problem.success) return `not a problem document: ${problem.error.message}`
  return problem.data.status === status ? null : `${problem.data.status} in the body`
}

/** A token for somebody who has no right to it, or for another customer than was asked for. */
export function leak(service: Fuzzed, request: FuzzedRequest, reply: WireReply): string | null {
  const token = Token.safeParse(parsed(reply.body))
  if (!token.success || reply.status !== 200) return null
  const rights = RIGHTS[request.credential]
  const { customer_id: customer, token: value } = token.data
  if (rights !== null && !rights.includes(customer)) return `a token of ${customer}`
  if (!ID_PATTERN.test(customer) || customer === 'default') return `the id ${customer}`
  const segment = request.target.split('/')[2] ?? ''
  if (decodeURIComponent(segment) !== customer) return `another customer, ${customer}`
  const known = service.upstream.verify(value)
  return known?.customer === customer ? null : `somebody else's token as that of ${customer}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
