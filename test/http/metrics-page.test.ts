import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { newCustomer, startService } from '../support/service.ts'

type Documented = { readonly labels: ReadonlyMap<string, ReadonlySet<string>> }

/** docs/metrics.md: a row a metric, with the values that each label can take. */
function documented(): Map<string, Documented> {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(token_broker_\w+)` \| \w+ \| (.*?) \| .*\|$/gm)]
  return new Map(
    rows.map(([, name = '', labels = '']) => [
      name,
      {
        labels: new Map(
          [...labels.matchAll(/`(\w+)`: ([^;]*)/g)].map(([, label = '', values = '']) => [
            label,
            new Set([...values.matchAll(/`([^`]+)`/g)].map(([, value = '']) => value)),
          ]),
        ),
      },
    ]),
  )
}

/** Labels whose sets are told in words: the routes we have, the statuses there are, the version that runs. */
const IN_WORDS: Readonly<Record<string, RegExp>> = {
  route: /^(unknown|\*|\/[\w/:.*-]*)$/,
  status: /^[1-5]\d\d$/,
  version: /^\d+\.\d+\.\d+$/,
  le: /^(\+Inf|[\d.]+)$/,
}

test('every metric is on the page, and no label takes a value that is not', async () => {
  const { app, ask, upstream } = await startService({ env: { RATE_LIMIT_MAX: '3' } })
  const customer = newCustomer()
  for (let call = 0; call < 5; call++) await ask(customer)
  upstream.fail({ on: 'mint', what: 'status', status: 403 })
  await ask(newCustomer())
  await ask('default')
  await ask(customer, { headers: { authorization: 'Bearer wrong-key-0123456789abcdef' } })
  for (const [method, url] of [
    ['GET', `/${newCustomer()}`],
    ['PATCH', '/customers/a/token'],
    ['PROPFIND', '/customers/a/token'],
    ['GET', '/customers/%zz/token'],
  ] as const)
    await app.server.inject({ method: method as 'GET', url })

  const { body } = await app.ops.inject('/metrics')

  const pages = documented()
  const names = [...body.matchAll(/^# TYPE (token_broker_\w+) /gm)].map(([, name = '']) => name)
  expect([...pages.keys()].sort()).toEqual(names.sort())
  const strangers = [...body.matchAll(/^(token_broker_\w+)\{(.*)\} /gm)].flatMap(
    ([, series = '', labels = '']) => {
      const name = pages.has(series) ? series : series.replace(/_(bucket|sum|count)$/, '')
      const sets = pages.get(name)?.labels
      return [...labels.matchAll(/(\w+)="([^"]*)"/g)]
        .filter(([, label = '', value = '']) => {
          const words = IN_WORDS[label]
          return words
            ? !words.test(value) || value.includes(customer)
            : !sets?.get(label)?.has(value)
        })
        .map(([text]) => `${name} ${text}`)
    },
  )
  expect([...new Set(strangers)]).toEqual([])
})
