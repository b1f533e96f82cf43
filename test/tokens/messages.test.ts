import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BrokerError } from '../../src/errors.ts'
import { freedMessage, parseMessage, storedMessage } from '../../src/tokens/messages.ts'

const name = { customer: 'c', variant: 'v' }

test('what is stored is told whole', () => {
  const message = {
    kind: 'stored' as const,
    from: 'me',
    name,
    stamp: 's',
    keptForMs: 5,
    sealed: 'k.AA',
  }

  expect(parseMessage(storedMessage(message))).toEqual(message)
})

test.each([
  ['upstream_unavailable', 'upstream_unavailable'],
  ['upstream_rejected', 'upstream_rejected'],
  ['overloaded', undefined],
  ['draining', undefined],
  ['internal_error', undefined],
] as const)('of a failure only the upstream is told of: %s', (code, told) => {
  const failure = new BrokerError(code, 'text with what nobody should see', { retryAfterMs: 1_500 })

  const text = freedMessage(name, failure)

  expect(text).not.toContain('nobody')
  expect(parseMessage(text)).toMatchObject({
    kind: 'freed',
    name,
    failure: told === undefined ? null : { code: told, retryAfterMs: 1_500 },
  })
})

test('a failure of no kind, or none, is told as none', () => {
  for (const failure of [null, undefined, new Error('x')])
    expect(parseMessage(freedMessage(name, failure))).toMatchObject({ failure: null })
  expect(parseMessage('freed c v upstream_constructor 0')).toMatchObject({ failure: null })
})

test('what is no message is none, and nothing throws', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => parseMessage(text)).not.toThrow()
    }),
  )
  for (const text of [
    '',
    'stored',
    'stored a b c d x f',
    'stored a b c d 0 f',
    'evicted a b',
    'x a b',
  ])
    expect(parseMessage(text)).toBeNull()
})
