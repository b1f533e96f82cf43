import type { Fault } from './faults.ts'
import { fieldsOf } from './incoming.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'

/** The reply that a fault sends in place of the real one, `null` for the faults that do not. */
export function replyInstead(fault: Fault | undefined): Reply | null {
  switch (fault?.what) {
    case 'status':
      return errorReply(
        fault.body ?? 'detail-text',
        fault.status,
        fault.message ?? 'the sandbox was told to fail',
        fault.headers ? { headers: fault.headers } : {},
      )
    case 'reply':
      return jsonReply(fault.status ?? 200, fault.json ?? null)
    case 'html':
      return errorReply('html', 200, 'Welcome')
    case 'revoke':
      return errorReply('detail-text', 401, 'Could not validate credentials')
    default:
      return null
  }
}

/** The real reply, as the fault lets it out. */
export function spoilt(reply: Reply, fault: Fault | undefined, now: number): Reply {
  switch (fault?.what) {
    case 'malformed-json':
      return { ...reply, body: reply.body.slice(0, -1) }
    case 'content-type':
      return withHeader(reply, 'content-type', fault.contentType)
    case 'empty':
      return { ...reply, body: '' }
    case 'huge':
      return withFields(reply, (fields) => ({ padding: 'x'.repeat(fault.bytes), ...fields }))
    case 'no-token':
      return withFields(reply, ({ token, access_token, ...others }) => others)
    case 'date':
      return withHeader(reply, 'date', new Date(now + fault.byMs).toUTCString())
    default:
      return reply
  }
}

const withHeader = (reply: Reply, name: string, value: string): Reply => ({
  ...reply,
  headers: { ...reply.headers, [name]: value },
})

function withFields(
  reply: Reply,
  change: (fields: Readonly<Record<string, unknown>>) => Record<string, unknown>,
): Reply {
  const fields = reply.body === '' ? null : fieldsOf(JSON.parse(reply.body))
  return fields ? { ...reply, body: JSON.stringify(change(fields)) } : reply
}
