import { z } from 'zod'
import { type AskedRequest, matches, RequestMatch } from './asked.ts'
import { ERROR_BODIES } from './bodies.ts'

const WIDGET_FLAWS = [
  'bare-jwt',
  'not-base64',
  'not-json',
  'no-token',
  'no-url',
  'plain-http-url',
  'other-origin',
  'no-origin',
] as const
export type WidgetFlaw = (typeof WIDGET_FLAWS)[number]

const When = z.strictObject({
  ...RequestMatch.shape,
  /** How many matching requests it befalls: 1 unless told otherwise. JSON knows no Infinity, hence `always`. */
  times: z.union([z.number().min(1), z.literal('always')]).optional(),
  /** Chance that it befalls a matching request at all; a spared one does not use up `times`. */
  probability: z.number().min(0).max(1).optional(),
})

export const Fault = z.discriminatedUnion('what', [
  /** A refusal, or any other status; `Location`, `Retry-After` and the like go into `headers`. */
  When.extend({
    what: z.literal('status'),
    status: z.int().min(200).max(599),
    body: z.enum(ERROR_BODIES).optional(),
    message: z.string().optional(),
    headers: z.record(z.string(), z.string()).optional(),
  }),
  /** A reply of one's own, in place of the real one. */
  When.extend({
    what: z.literal('reply'),
    status: z.int().min(200).max(599).optional(),
    json: z.unknown(),
  }),
  When.extend({ what: z.literal('html') }),
  /** 401, and the org token that asked is dead from now on. */
  When.extend({ what: z.literal('revoke') }),
  /** The request is taken and never answered. */
  When.extend({ what: z.literal('hang') }),
  /** The connection breaks; `before-headers` unless told otherwise, and then nothing was made either. */
  When.extend({
    what: z.literal('reset'),
    when: z.enum(['before-headers', 'after-headers', 'mid-body']).optional(),
  }),

  // From here on the request is carried out, and its reply is spoilt on the way.
  When.extend({ what: z.literal('delay'), ms: z.number().min(0) }),
  /** The right reply, a few bytes at a time. */
  When.extend({
    what: z.literal('trickle'),
    bytes: z.int().min(1).optional(),
    everyMs: z.number().min(1).optional(),
  }),
  /** Half of the right body, and then silence on an open connection. */
  When.extend({ what: z.literal('stall') }),
  /** A body that goes on for as long as somebody reads. */
  When.extend({
    what: z.literal('endless'),
    bytes: z.int().min(1).optional(),
    everyMs: z.number().min(1).optional(),
  }),
  When.extend({ what: z.literal('malformed-json') }),
  /** The right body under another media type. */
  When.extend({ what: z.literal('content-type'), contentType: z.string() }),
  /** The right reply, with a field of so many bytes in it. */
  When.extend({ what: z.literal('huge'), bytes: z.int().min(1) }),
  /** The right status, and no body. */
  When.extend({ what: z.literal('empty') }),
  /** A token that lives this long: zero or less is one that arrives expired. */
  When.extend({ what: z.literal('life'), ms: z.number() }),
  /** The right reply, without the token. */
  When.extend({ what: z.literal('no-token') }),
  When.extend({ what: z.literal('widget'), flaw: z.enum(WIDGET_FLAWS) }),
  /** The `Date` header lies by so much. */
  When.extend({ what: z.literal('date'), byMs: z.number() }),
])
export type Fault = z.infer<typeof Fault>

type Queued = { readonly fault: Fault; left: number }

/** The faults that wait for their request. The first that fits a request is the one that befalls it. */
export function createFaults() {
  let queue: Queued[] = []

  return {
    add(fault: Fault) {
      queue.push({ fault, left: fault.times === 'always' ? Infinity : (fault.times ?? 1) })
    },
    clear() {
      queue = []
    },
    waiting: () => queue.map(({ fault }) => fault.what),
    take(request: AskedRequest): Fault | undefined {
      const queued = queue.find(
        ({ fault }) => matches(fault, request) && Math.random() < (fault.probability ?? 1),
      )
      if (!queued) return undefined
      queued.left -= 1
      if (queued.left <= 0) queue = queue.filter((other) => other !== queued)
      return queued.fault
    },
  }
}

export type Faults = ReturnType<typeof createFaults>
