import { z } from 'zod'

const WithSchemas = z.looseObject({
  paths: z.record(z.string(), z.unknown()),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
})

const REFERENCE = /"#\/components\/schemas\/([^"]+)"/g

/**
 * The generated document as one would write it: without the second copy of each schema (as it is read,
 * and as it is written), the bounds of a double, and the pattern that `date-time` says shorter.
 */
export function tidied(generated: unknown): Record<string, unknown> {
  const document = WithSchemas.parse(JSON.parse(JSON.stringify(generated), withoutNoise))
  const { schemas } = document.components
  const used = new Set<string>()
  const collect = (part: unknown) => {
    for (const [, name = ''] of JSON.stringify(part).matchAll(REFERENCE)) {
      if (used.has(name)) continue
      used.add(name)
      collect(schemas[name])
    }
  }
  collect(document.paths)
  const kept = Object.entries(schemas).filter(([name]) => used.has(name))
  const { openapi, info, servers, tags, ...rest } = document
  const text = JSON.stringify({
    openapi,
    info,
    servers,
    tags,
    ...rest,
    components: {
      ...document.components,
      schemas: Object.fromEntries(kept.map(([name, schema]) => [plain(name, used), schema])),
    },
  })
  return z
    .record(z.string(), z.unknown())
    .parse(
      JSON.parse(
        text.replace(REFERENCE, (_all, name) => `"#/components/schemas/${plain(name, used)}"`),
      ),
    )
}

/** The generator calls a schema that is read `XInput`; where no `X` is written, it is simply `X`. */
const plain = (name: string, used: ReadonlySet<string>) => {
  const short = name.replace(/Input$/, '')
  return used.has(short) ? name : short
}

const OptionalBody = z.object({
  content: z.object({
    'application/json': z.object({
      schema: z.object({
        anyOf: z.tuple([z.record(z.string(), z.unknown()), z.object({ type: z.literal('null') })]),
      }),
    }),
  }),
})

/** A body that may be left out is generated as one that must be there, and may be `null`. */
function body(generated: unknown): unknown {
  const optional = OptionalBody.safeParse(generated)
  if (!optional.success) return generated
  const [schema] = optional.data.content['application/json'].schema.anyOf
  return { required: false, content: { 'application/json': { schema } } }
}

function withoutNoise(this: unknown, key: string, value: unknown): unknown {
  if (key === 'requestBody') return body(value)
  // It is GET without the body, and said of every GET that knows it.
  if (key === 'head') return undefined
  if (key === 'pattern' && isDateTime(this)) return undefined
  return Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER ? undefined : value
}

const isDateTime = (schema: unknown) =>
  typeof schema === 'object' &&
  schema !== null &&
  'format' in schema &&
  schema.format === 'date-time'
