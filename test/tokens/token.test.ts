import { describe, expect, test } from 'vitest'
import {
  keepableFor,
  mayBeServed,
  meets,
  meetsWhileAway,
  refreshAfter,
  servableUntil,
  type Token,
  type TokenType,
} from '../../src/tokens/token.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const T0 = Date.parse('2026-11-22T18:40:00Z')

const tokenOf = (type: TokenType, lifeMs: number): Token => ({
  value: 'a token',
  type,
  workspaceId: null,
  receivedAt: T0,
  expiresAt: T0 + lifeMs,
})

describe('how long a token is used', () => {
  test.each([
    ['scoped', 20 * MINUTE, 16 * MINUTE, 18 * MINUTE, 20 * MINUTE],
    ['scoped', 15 * MINUTE, 11 * MINUTE, 13 * MINUTE, 15 * MINUTE],
    ['scoped', 10 * MINUTE, 6 * MINUTE, 8 * MINUTE, 10 * MINUTE],
    ['scoped', 3 * MINUTE, 108 * SECOND, 144 * SECOND, 3 * MINUTE],
    ['scoped', 3 * SECOND, 1_800, 2_400, 3 * SECOND],
    ['scoped', 24 * 60 * MINUTE, 1_436 * MINUTE, 1_438 * MINUTE, 1_440 * MINUTE],
    ['widget', 20 * MINUTE, 10 * MINUTE, 10 * MINUTE, 10 * MINUTE],
    ['widget', 4 * SECOND, 2 * SECOND, 2 * SECOND, 2 * SECOND],
    ['scoped', 0, 0, 0, 0],
    ['widget', 0, 0, 0, 0],
  ] as const)(
    '%s token that lives %i ms: renewed from %i, served until %i, kept until %i',
    (type, lifeMs, renewed, served, kept) => {
      const token = tokenOf(type, lifeMs)

      expect(refreshAfter(token) - T0).toBeCloseTo(renewed, 3)
      expect(servableUntil(token) - T0).toBeCloseTo(served, 3)
      expect(keepableFor(token, T0)).toBe(kept)
    },
  )

  test('nothing is kept once it is of no use, and never for a negative time', () => {
    const token = tokenOf('scoped', MINUTE)

    expect(keepableFor(token, T0 + MINUTE - 1)).toBe(1)
    expect(keepableFor(token, T0 + MINUTE)).toBe(0)
    expect(keepableFor(token, T0 + 2 * MINUTE)).toBe(0)
  })
})

describe('whether a token is handed out', () => {
  const scoped = tokenOf('scoped', 20 * MINUTE)
  const widget = tokenOf('widget', 20 * MINUTE)

  test.each([
    ['a scoped one until its margin', scoped, 18 * MINUTE - 1, 'answering', true],
    ['a scoped one in its margin', scoped, 18 * MINUTE, 'answering', false],
    ['a scoped one in its margin while the upstream is away', scoped, 18 * MINUTE, 'away', true],
    ['a scoped one to its last millisecond', scoped, 20 * MINUTE - 1, 'away', true],
    ['a scoped one that has ended', scoped, 20 * MINUTE, 'away', false],
    ['a widget one in its first half', widget, 10 * MINUTE - 1, 'answering', true],
    ['a widget one in its second half', widget, 10 * MINUTE, 'answering', false],
    ['a widget one in its second half, upstream away', widget, 10 * MINUTE, 'away', false],
  ] as const)('%s', (_, token, at, upstream, served) => {
    expect(mayBeServed(token, T0 + at, upstream)).toBe(served)
  })
})

describe('whether a kept token is what the caller asked for', () => {
  const token = tokenOf('scoped', 20 * MINUTE)
  const asks = (minTtlMs: number, refresh = false) => ({ minTtlMs, refresh })

  test.each([
    ['nothing in particular', asks(0), 11 * SECOND, true],
    ['exactly what is left', asks(19 * MINUTE), MINUTE, true],
    ['a millisecond more than is left', asks(19 * MINUTE + 1), MINUTE, false],
    ['more than any token lives, of a young one', asks(86_400 * SECOND), 10 * SECOND - 1, true],
    ['more than any token lives, of an old one', asks(86_400 * SECOND), 10 * SECOND, false],
    ['a new one, when this is young', asks(0, true), 10 * SECOND - 1, true],
    ['a new one, when this is not', asks(0, true), 10 * SECOND, false],
    ['a new one, by a clock a little behind', asks(0, true), -5 * SECOND, true],
    ['a new one, by a clock set back', asks(0, true), -MINUTE, false],
  ] as const)('%s', (_, demand, at, met) => {
    expect(meets(token, demand, T0 + at, 'answering')).toBe(met)
  })

  test('a token younger than ten seconds that has ended meets nothing', () => {
    const brief = tokenOf('scoped', 5 * SECOND)

    expect(meets(brief, asks(0), T0 + 5 * SECOND, 'away')).toBe(false)
    expect(meets(brief, asks(0, true), T0 + 4 * SECOND, 'answering')).toBe(false)
  })

  test.each([
    ['in its margin, for who asked for nothing more', asks(0), 19 * MINUTE, true],
    ['with less left than was asked for', asks(2 * MINUTE), 19 * MINUTE, false],
    ['for who has seen it refused', asks(0, true), MINUTE, false],
    ['after its end', asks(0), 20 * MINUTE, false],
  ] as const)('while the upstream is away: %s', (_, demand, at, met) => {
    expect(meetsWhileAway(token, demand, T0 + at)).toBe(met)
  })
})
